// One continuation: its tokens with their probabilities, and how fast they came.

const tip = document.getElementById('tip');

export class Continuation {
  #text = node('p', 'text');
  #stats = node('p', 'stats');
  #started = performance.now();
  #first = 0;
  #count = 0;
  #waiting = [];
  #seed;

  constructor(model, prompt, seed) {
    this.#seed = seed;
    this.element = node('article', 'busy');
    this.element.dataset.model = model.id;
    this.#text.append(node('span', 'given', prompt));
    // Read aloud once, at the end.
    this.#stats.setAttribute('aria-live', 'off');
    this.#text.addEventListener('keydown', event => this.#walk(event));
    this.element.append(node('h2', '', model.id), this.#text, this.#stats);
    this.#stats.textContent = 'reading the prompt ..';
  }

  add(chunk) {
    const choice = chunk.choices[0];
    if (!choice) return;
    if (choice.logprobs) {
      this.#count++;
      this.#first ||= performance.now();
      this.#waiting.push({ token: choice.logprobs.tokens[0], value: choice.logprobs.token_logprobs[0], top: choice.logprobs.top_logprobs[0] });
    }
    // A character or a stop text may be spread over several tokens; they are shown together.
    if (choice.text || choice.finish_reason) this.#show(choice.text, choice.finish_reason);
    this.#tell(choice.finish_reason);
  }

  end(how) {
    this.element.classList.remove('busy');
    if (how) this.#tell(how);
  }

  #show(text, finish) {
    const isEnd = finish && !text;
    const tokens = this.#waiting.splice(0);
    if (isEnd && (finish !== 'stop' || !tokens.length)) return;
    const probability = Math.exp(tokens.reduce((sum, token) => sum + token.value, 0));
    const span = node('span', isEnd ? 'token end' : 'token', isEnd ? '■ end' : text);
    // By orders of magnitude: most tokens of a small model have a few percent.
    span.style.setProperty('--p', Math.max(0, 1 + Math.log10(probability) / 3).toFixed(3));
    span.tabIndex = this.#text.querySelector('.token') ? -1 : 0;
    span.setAttribute('role', 'button');
    span.setAttribute('aria-describedby', 'tip');
    span.setAttribute('aria-label', `${isEnd ? 'end of the text' : text}, ${percent(probability)}`);
    for (const event of ['mouseenter', 'focus']) span.addEventListener(event, () => explain(span, tokens));
    for (const event of ['mouseleave', 'blur']) span.addEventListener(event, () => { tip.hidden = true; });
    this.#text.append(span);
  }

  #tell(finish) {
    const now = performance.now();
    const speed = this.#count > 1 ? (this.#count - 1) / (now - this.#first) * 1000 : 0;
    const parts = [`${this.#count} tokens`];
    if (speed) parts.push(`${speed >= 10 ? Math.round(speed).toLocaleString('en') : speed.toFixed(1)} tokens/s`);
    if (this.#first) parts.push(`first after ${Math.round(this.#first - this.#started)} ms`);
    if (finish) this.#stats.setAttribute('aria-live', 'polite');
    if (finish) parts.push({ stop: 'ended by itself', length: 'reached its length', stopped: 'stopped', failed: 'failed' }[finish] ?? finish, `seed ${this.#seed}`);
    this.#stats.textContent = parts.join(' · ');
    if (finish) this.#stats.append(' · unlikely', node('span', 'legend'), 'likely');
  }

  // Arrow keys walk through the tokens, Home and End jump.
  #walk(event) {
    const tokens = [...this.#text.querySelectorAll('.token')];
    const at = tokens.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tokens.length - 1 }[event.key];
    if (to === undefined || !tokens[to]) return;
    event.preventDefault();
    tokens.forEach((token, i) => { token.tabIndex = i === to ? 0 : -1; });
    tokens[to].focus();
  }
}

function explain(span, tokens) {
  const table = node('table');
  for (const drawn of tokens) {
    const rows = Object.entries(drawn.top ?? {}).sort((a, b) => b[1] - a[1]);
    if (!rows.some(([text]) => text === drawn.token)) rows.push([drawn.token, drawn.value]);
    for (const [text, value] of rows) {
      const row = table.insertRow();
      row.className = text === drawn.token ? 'drawn' : '';
      row.insertCell().textContent = visible(text);
      row.insertCell().textContent = percent(Math.exp(value));
    }
  }
  tip.replaceChildren(table);
  tip.hidden = false;
  const box = span.getBoundingClientRect();
  const below = box.bottom + tip.offsetHeight + 8 < innerHeight;
  tip.style.top = `${below ? box.bottom + 6 : Math.max(4, box.top - tip.offsetHeight - 6)}px`;
  tip.style.left = `${Math.max(4, Math.min(box.left, innerWidth - tip.offsetWidth - 8))}px`;
}

function visible(text) { return text.replace(/\n/g, '↵').replace(/ /g, '␣').replace(/\t/g, '⇥'); }

function percent(share) { return share >= 0.0995 ? `${Math.round(share * 100)} %` : `${(share * 100).toPrecision(2)} %`; }

export function node(name, className = '', text = '') {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.textContent = text;
  return element;
}
