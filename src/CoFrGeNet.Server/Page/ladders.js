// The ladders of a model: how much of their output a prompt clips, and one of them as a function.

import { fail } from './message.js';
import { node } from './continuation.js';
import { post } from './api.js';

const $ = id => document.getElementById(id);
const Width = 640, Height = 260, Left = 48, Bottom = 28;
let shown = null;

export async function showLadders(model, prompt) {
  $('ladders').hidden = !model.ladders;
  if (!model.ladders) return;
  $('plot').replaceChildren();
  const layers = (await post('/v1/ladders', { model: model.id, prompt })).layers;
  shown = { model, prompt, layers, at: shown && shown.at < layers.length ? shown.at : 0 };
  $('layers').replaceChildren(...layers.map(bar));
  $('ladder').onchange = () => drawLadder().catch(fail);
  await drawLadder();
}

function bar(layer, i) {
  const button = node('button');
  button.type = 'button';
  button.append(node('span', '', `Layer ${layer.index + 1}, ${layer.part}`));
  const track = node('span', 'bar');
  const fill = node('i');
  fill.style.width = `${layer.clipped_share * 100}%`;
  track.append(fill);
  button.append(track, node('span', 'share', `${(layer.clipped_share * 100).toFixed(1)} %`));
  button.setAttribute('aria-pressed', i === shown.at);
  button.addEventListener('click', () => { shown.at = i; drawLadder().catch(fail); });
  return button;
}

async function drawLadder() {
  const layer = shown.layers[shown.at];
  [...$('layers').children].forEach((button, i) => button.setAttribute('aria-pressed', i === shown.at));
  $('ladder').max = layer.ladders;
  const ladder = Math.min(Math.max(1, Number($('ladder').value) || 1), layer.ladders);
  $('ladder').value = ladder;
  $('ladder-facts').textContent = `of ${layer.ladders} in layer ${layer.index + 1}, ${layer.part}, depth ${layer.depth}`;
  const curve = await post('/v1/ladders/curve', { model: shown.model.id, prompt: shown.prompt, layer: layer.index, part: layer.part, ladder: ladder - 1 });
  $('plot').replaceChildren(plot(curve), node('figcaption', '', 'The ladder’s output when its input at the last token is scaled by t; the dot is the input itself (t = 1)'
    + (curve.low !== null ? ', the band the range seen in training.' : '.')));
}

function plot(curve) {
  const values = curve.points.map(point => point.y);
  // The curve fills the picture; of the band it shows what lies behind.
  let low = Math.min(...values), high = Math.max(...values);
  if (high - low < 1e-6) { low -= 1; high += 1; }
  const margin = (high - low) * .08;
  low -= margin; high += margin;
  const first = curve.points[0].t, last = curve.points.at(-1).t;
  const x = t => Left + (t - first) / (last - first) * (Width - Left - 8);
  const y = value => 8 + (high - value) / (high - low) * (Height - Bottom - 8);
  const svg = part('svg', { viewBox: `0 0 ${Width} ${Height}`, role: 'img', 'aria-label': 'Output of the ladder over the scale of its input' });
  if (curve.low !== null) {
    const top = y(Math.min(curve.high, high)), bottom = y(Math.max(curve.low, low));
    svg.append(part('rect', { class: 'range', x: Left, width: Width - Left - 8, y: top, height: Math.max(0, bottom - top) }));
  }
  for (const value of ticks(low, high)) {
    svg.append(part('line', { class: 'axis', x1: Left, x2: Width - 8, y1: y(value), y2: y(value) }), label(Left - 6, y(value) + 4, 'end', short(value)));
  }
  for (const t of ticks(first, last)) {
    svg.append(part('line', { class: 'axis', x1: x(t), x2: x(t), y1: 8, y2: Height - Bottom }), label(x(t), Height - 8, 'middle', `t = ${short(t)}`));
  }
  const path = curve.points.map((point, i) => `${i ? 'L' : 'M'}${x(point.t).toFixed(1)} ${y(point.y).toFixed(1)}`).join('');
  svg.append(part('path', { class: 'curve', d: path }), part('circle', { class: 'here', cx: x(1), cy: y(curve.here), r: 5 }));
  return svg;
}

function ticks(low, high) {
  const rough = (high - low) / 4, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(m => m * power).find(size => size >= rough);
  const result = [];
  for (let value = Math.ceil(low / step) * step; value <= high; value += step) result.push(value);
  return result;
}

function short(value) { return String(Number(value.toPrecision(3))); }

function label(x, y, anchor, text) {
  const element = part('text', { x, y, 'text-anchor': anchor });
  element.textContent = text;
  return element;
}

function part(name, attributes) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
