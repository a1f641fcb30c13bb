// The server's API as the page uses it.

export class ApiError extends Error {}

let key = '';

export function setKey(value) { key = value; }

async function call(path, body, signal) {
  const headers = { 'content-type': 'application/json' };
  if (key) headers.authorization = `Bearer ${key}`;
  let response;
  try {
    response = await fetch(path, { method: body ? 'POST' : 'GET', headers, body: body && JSON.stringify(body), signal });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError('The server does not answer.');
  }
  if (response.ok) return response;
  const answer = await response.json().catch(() => null);
  throw new ApiError(answer?.error?.message ?? `The server answered ${response.status}.`);
}

export async function get(path) { return (await call(path)).json(); }

export async function post(path, body, signal) { return (await call(path, body, signal)).json(); }

// Yields the chunks of a streamed completion.
export async function* complete(body, signal) {
  const response = await call('/v1/completions', { ...body, stream: true, stream_options: { include_usage: true } }, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new ApiError('The stream broke off.');
    const events = (rest + value).split('\n\n');
    rest = events.pop();
    for (const event of events) {
      if (!event.startsWith('data: ')) continue;
      if (event === 'data: [DONE]') return;
      const chunk = JSON.parse(event.slice(6));
      if (chunk.error) throw new ApiError(chunk.error.message);
      yield chunk;
    }
  }
}
