// The official JS client, unmodified, against a server. Prints one JSON object of what it saw; the C# test judges.
import OpenAI from 'openai';

const [baseURL, what] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: process.env.KEY ?? 'none', maxRetries: Number(process.env.RETRIES ?? 2) });
const seen = {};

const actions = {
  async completion() {
    const answer = await client.completions.create({ model: 'fake', prompt: ['ab', 'cd'], max_tokens: 4, temperature: 0, logprobs: 1, echo: true, seed: 1 });
    seen.indices = answer.choices.map(choice => choice.index);
    seen.texts = answer.choices.map(choice => choice.text);
    seen.first = answer.choices[0].logprobs.token_logprobs[0];
    seen.count = answer.choices[0].logprobs.token_logprobs.length;
    seen.usage = answer.usage;
  },
  async stream() {
    const stream = await client.completions.create({ model: 'fake', prompt: 'ab', max_tokens: 8, seed: 1, stream: true, stream_options: { include_usage: true } });
    seen.text = '';
    for await (const chunk of stream) {
      seen.text += chunk.choices[0]?.text ?? '';
      seen.reason = chunk.choices[0]?.finish_reason ?? seen.reason;
      seen.usage = chunk.usage ?? seen.usage;
    }
    seen.whole = (await client.completions.create({ model: 'fake', prompt: 'ab', max_tokens: 8, seed: 1 })).choices[0].text;
  },
  async chat() {
    const body = { model: 'fake', messages: [{ role: 'user', content: 'hi' }], max_completion_tokens: 6, seed: 2, logprobs: true, top_logprobs: 1 };
    const answer = await client.chat.completions.create(body);
    seen.text = answer.choices[0].message.content;
    seen.reason = answer.choices[0].finish_reason;
    seen.tokens = answer.choices[0].logprobs.content.length;
    const stream = client.chat.completions.stream(body);
    seen.streamed = (await stream.finalChatCompletion()).choices[0].message.content;
  },
  async error() {
    try {
      await client.completions.create({ model: 'gpt-9', prompt: 'x' });
    } catch (error) {
      Object.assign(seen, { name: error.constructor.name, status: error.status, code: error.code, type: error.type, param: error.param, id: error.requestID });
    }
  },
  async broken() {
    seen.chunks = 0;
    try {
      const stream = await client.completions.create({ model: 'fake', prompt: 'x', max_tokens: 900, stream: true });
      for await (const chunk of stream) {
        seen.chunks++;
        process.stdout.write('.');
      }
    } catch (error) {
      Object.assign(seen, { name: error.constructor.name, message: error.message });
    }
  },
  async retry() {
    // A dot for each request; the client itself decides when to send the next.
    seen.statuses = [];
    const counting = new OpenAI({ baseURL, apiKey: 'none', fetch: async (...request) => {
      const answer = await fetch(...request);
      seen.statuses.push(answer.status);
      process.stdout.write('.');
      return answer;
    } });
    const answer = await counting.completions.create({ model: 'fake', prompt: 'ab', max_tokens: 3, seed: 1 });
    seen.tokens = answer.usage.completion_tokens;
  },
  async cancel() {
    const stream = await client.completions.create({ model: 'fake', prompt: 'x', max_tokens: 900, stream: true });
    seen.chunks = 0;
    for await (const chunk of stream) {
      if (++seen.chunks === 3) stream.controller.abort();
    }
  },
};

await actions[what]();
console.log('\n' + JSON.stringify(seen));
