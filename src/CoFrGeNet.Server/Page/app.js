import { complete, get, setKey } from './api.js';
import { fail, say } from './message.js';
import { showLadders } from './ladders.js';
import { Continuation } from './continuation.js';

const $ = id => document.getElementById(id);
const models = new Map();
let running = null;

async function start() {
  $('base').textContent = `${location.origin}/v1`;
  $('key').value = sessionStorage.getItem('key') ?? '';
  useKey();
  $('key').addEventListener('change', () => {
    sessionStorage.setItem('key', $('key').value);
    useKey();
    loadModels();
  });
  $('model').addEventListener('change', describe);
  // A field that is wrong must be seen to be mended.
  $('form').addEventListener('invalid', () => { $('options').open = true; }, true);
  $('form').addEventListener('submit', event => { event.preventDefault(); run(); });
  $('stop').addEventListener('click', () => running?.abort());
  document.addEventListener('keydown', event => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) { event.preventDefault(); $('form').requestSubmit(); }
    if (event.key === 'Escape') running?.abort();
  });
  await loadModels();
}

// Headers hold visible ASCII only, and so do keys.
function useKey() {
  const isKey = /^[!-~]*$/.test($('key').value);
  $('key').setCustomValidity(isKey ? '' : 'A key has no spaces and no signs beyond ASCII.');
  setKey(isKey ? $('key').value : '');
}

async function loadModels() {
  try {
    const list = await get('/v1/models');
    models.clear();
    list.data.forEach(model => models.set(model.id, model));
    $('model').replaceChildren(...list.data.map(model => new Option(model.id)));
    $('compare').replaceChildren(new Option('nothing', ''), ...list.data.map(model => new Option(model.id)));
    $('compare-label').hidden = list.data.length < 2;
    say('');
    describe();
  } catch (error) {
    fail(error);
    // Most often the key is missing.
    $('options').open = true;
  }
}

function describe() {
  const model = models.get($('model').value);
  $('tokens').max = model.max_model_len;
  $('tokens').value = Math.min($('tokens').value, model.max_model_len);
  const size = model.parameters ? `${compact(model.parameters)} parameters, ` : '';
  $('facts').textContent = `${size}context of ${model.max_model_len.toLocaleString('en')} tokens`;
}

async function run() {
  if (!models.size) await loadModels();
  if (!models.size) return;
  running?.abort();
  const stop = running = new AbortController();
  const seed = $('seed').value === '' ? Math.floor(Math.random() * 2 ** 31) : Number($('seed').value);
  const request = {
    prompt: $('prompt').value,
    max_tokens: Number($('tokens').value),
    temperature: Number($('temperature').value),
    top_p: Number($('top-p').value),
    seed,
    logprobs: 5,
    ...($('stop-text').value ? { stop: $('stop-text').value } : {}),
  };
  const names = [$('model').value, $('compare').value].filter(name => name);
  const panels = names.map(name => new Continuation(models.get(name), request.prompt, seed));
  $('results').replaceChildren(...panels.map(panel => panel.element));
  $('stop').disabled = false;
  say('');
  await Promise.all(panels.map((panel, i) => follow(panel, { ...request, model: names[i] }, stop.signal)));
  if (running === stop) {
    running = null;
    $('stop').disabled = true;
    showLadders(models.get(names[0]), request.prompt).catch(fail);
  }
}

async function follow(panel, request, signal) {
  try {
    for await (const chunk of complete(request, signal)) panel.add(chunk);
    panel.end();
  } catch (error) {
    panel.end(error.name === 'AbortError' ? 'stopped' : 'failed');
    if (error.name !== 'AbortError') fail(error);
  }
}

function compact(number) { return Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 }).format(number); }

// Nothing can be continued before the models are known.
$('run').disabled = true;
start().finally(() => { $('run').disabled = false; });
