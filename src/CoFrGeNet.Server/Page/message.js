// What the page has to say to whoever uses it.

import { ApiError } from './api.js';

const message = document.getElementById('message');

export function say(text) {
  message.textContent = text;
  message.hidden = !text;
}

export function fail(error) {
  say(error.message);
  if (!(error instanceof ApiError)) console.error(error);
}
