'use strict';
// One rater's page. The state is kept in localStorage under the kit's hash and the rater's number, and leaves
// the device only as the file that the rater saves.

const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId('data').textContent);
const text = data.text;
const place = `avatarsync-human/${data.kit}/${data.rater}`;
const video = byId('video');
const [worst, best] = data.scale;
const fill = (form, values) => form.replace(/\{(\w+)\}/g, (_, name) => values[name]);

let state = { agreed: false, at: 0, answers: {}, seen: [], unplayable: [], seconds: {} };
let stored = true;
let since = null; // when the present item came into view; null while the page is hidden

function load() {
  try {
    const kept = JSON.parse(localStorage.getItem(place));
    if (kept && typeof kept.at === 'number' && kept.at >= 0 && kept.at < data.items.length) state = kept;
    localStorage.setItem(place, JSON.stringify(state));
  } catch {
    stored = false;
  }
}

function keep() {
  try {
    localStorage.setItem(place, JSON.stringify(state));
  } catch {
    stored = false;
  }
}

const item = () => data.items[state.at];
const answers = () => state.answers[item().id] || {};
const isDone = (id) => state.unplayable.includes(id)
  || data.dimensions.every((name) => (state.answers[id] || {})[name]);
const isOpen = () => state.seen.includes(item().id) && !state.unplayable.includes(item().id);

function spend() {
  if (since !== null && !byId('rating').hidden) {
    const id = item().id;
    const spent = (state.seconds[id] || 0) + (performance.now() - since) / 1000;
    state.seconds[id] = Math.round(spent * 10) / 10;
  }
  since = document.hidden ? null : performance.now();
}

function show(name) {
  for (const each of ['intro', 'rating', 'end']) byId(each).hidden = each !== name;
}

function question(name) {
  const words = text.dimensions[name];
  const field = document.createElement('fieldset');
  field.dataset.name = name;
  const legend = document.createElement('legend');
  const title = document.createElement('b');
  title.textContent = words.title;
  const asked = document.createElement('span');
  asked.textContent = words.question;
  legend.append(title, asked);
  const scale = document.createElement('div');
  scale.className = 'scale';
  for (let value = worst; value <= best; value += 1) scale.append(choice(name, value, words));
  const ends = document.createElement('div');
  ends.className = 'ends';
  ends.setAttribute('aria-hidden', 'true');
  for (const each of [`${worst}: ${words.low}`, `${best}: ${words.high}`]) {
    const end = document.createElement('span');
    end.textContent = each;
    ends.append(end);
  }
  field.append(legend, scale, ends);
  return field;
}

function choice(name, value, words) {
  const label = document.createElement('label');
  const input = document.createElement('input');
  input.type = 'radio';
  input.name = name;
  input.value = value;
  const meaning = { [worst]: `, ${words.low}`, [best]: `, ${words.high}` }[value] || '';
  input.setAttribute('aria-label', `${value}${meaning}`);
  input.addEventListener('change', () => answer(name, value));
  label.append(input, String(value));
  return label;
}

function answer(name, value) {
  state.answers[item().id] = { ...answers(), [name]: value };
  keep();
  draw();
}

function draw() {
  const given = answers();
  for (const field of byId('questions').children) {
    for (const input of field.querySelectorAll('input')) {
      input.checked = given[field.dataset.name] === Number(input.value);
      input.disabled = !isOpen();
    }
  }
  mark();
  const done = isDone(item().id);
  byId('next').disabled = !done;
  byId('back').disabled = state.at === 0;
  byId('progress').value = data.items.filter((each) => isDone(each.id)).length;
  byId('state').textContent = state.unplayable.includes(item().id) ? text.unplayable
    : !isOpen() ? text.watch : done ? text.ready : text.answer;
}

function open() { // the question that the number keys answer: the one in focus, else the first without an answer
  const fields = [...byId('questions').children];
  const focused = fields.find((field) => field.contains(document.activeElement));
  return focused || fields.find((field) => !answers()[field.dataset.name]);
}

function mark() {
  const here = isOpen() ? open() : undefined;
  for (const field of byId('questions').children) field.classList.toggle('here', field === here);
}

function go(at) {
  spend();
  state.at = at;
  keep();
  show('rating');
  byId('where').textContent = fill(text.video, { number: at + 1, count: data.items.length });
  byId('told').hidden = !item().choose;
  byId('told').textContent = item().choose ? fill(text.told, { choose: item().choose }) : '';
  byId('play').textContent = text.play;
  byId('next').textContent = at + 1 < data.items.length ? text.next : text.finish;
  video.src = item().video;
  draw();
  byId('where').focus();
}

function finish() {
  spend();
  keep();
  video.pause();
  show('end');
  const answered = data.items.filter((each) => isDone(each.id)).length;
  byId('done-text').textContent = fill(text.doneText, { answered, count: data.items.length });
  byId('saved').textContent = '';
  byId('done').focus();
}

function next() {
  if (!isDone(item().id)) return;
  if (state.at + 1 < data.items.length) go(state.at + 1);
  else finish();
}

function play() {
  if (!video.paused && !video.ended) return video.pause();
  return video.play().catch(() => {}); // what cannot play fires `error`, or is paused again at once
}

function seen() {
  if (!state.seen.includes(item().id)) state.seen.push(item().id);
  keep();
  byId('play').textContent = text.replay;
  draw();
}

function unplayable() {
  const id = item().id;
  if (state.seen.includes(id) || state.unplayable.includes(id)) return;
  state.unplayable.push(id);
  keep();
  draw();
}

function save() {
  const whole = data.items.map((each) => each.id)
    .filter((id) => !state.unplayable.includes(id) && isDone(id));
  const content = {
    schema: data.schema,
    kit: data.kit,
    rater: data.rater,
    consent: state.agreed,
    answers: Object.fromEntries(whole.map((id) => [id, state.answers[id]])),
    unplayable: state.unplayable,
    seconds: state.seconds,
  };
  const file = `answers-${data.kit}-${data.rater}.json`;
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([JSON.stringify(content, null, 1)], { type: 'application/json' }));
  link.download = file;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  byId('saved').textContent = fill(text.saved, { file });
}

function pressed(event) {
  if (byId('rating').hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  const value = Number(event.key);
  const onButton = event.target.tagName === 'BUTTON';
  if (Number.isInteger(value) && value >= worst && value <= best && isOpen()) {
    const field = open();
    if (field) {
      event.preventDefault();
      if (field.contains(document.activeElement)) document.activeElement.blur();
      answer(field.dataset.name, value);
      if (isDone(item().id)) byId('next').focus();
    }
  } else if (event.key === ' ' && !onButton && event.target.type !== 'radio') {
    event.preventDefault();
    play();
  } else if (event.key === 'Enter' && !onButton) {
    event.preventDefault();
    next();
  }
}

function write() {
  for (const [id, words] of Object.entries({
    title: data.title,
    welcome: fill(text.welcome, { count: data.items.length, minutes: data.minutes }),
    keys: text.keys,
    'consent-title': text.consentTitle,
    'agree-text': text.agree,
    start: state.agreed ? text.resume : text.start,
    contact: data.contact ? fill(text.contact, { contact: data.contact }) : '',
    storage: text.noStorage,
    broken: text.broken,
    back: text.back,
    early: text.saveEarly,
    done: text.done,
    review: text.review,
    save: text.save,
  })) byId(id).textContent = words;
  for (const line of text.how) byId('how').append(Object.assign(document.createElement('li'), { textContent: line }));
  for (const part of text.consent.split(/\n\s*\n/)) {
    byId('consent').append(Object.assign(document.createElement('p'), { textContent: part }));
  }
  byId('questions').append(...data.dimensions.map(question));
  byId('progress').max = data.items.length;
  byId('progress').setAttribute('aria-labelledby', 'where');
  byId('agree').checked = state.agreed;
  byId('start').disabled = !state.agreed;
  byId('storage').hidden = stored;
}

load();
write();
byId('agree').addEventListener('change', () => { byId('start').disabled = !byId('agree').checked; });
byId('start').addEventListener('click', () => { state.agreed = true; go(state.at); });
byId('play').addEventListener('click', play);
byId('broken').addEventListener('click', unplayable);
byId('back').addEventListener('click', () => go(state.at - 1));
byId('next').addEventListener('click', next);
byId('early').addEventListener('click', finish);
byId('review').addEventListener('click', () => go(state.at));
byId('save').addEventListener('click', save);
byId('questions').addEventListener('submit', (event) => event.preventDefault());
byId('questions').addEventListener('focusin', mark);
byId('questions').addEventListener('focusout', mark);
video.addEventListener('click', play);
video.addEventListener('ended', seen);
video.addEventListener('error', unplayable);
document.addEventListener('keydown', pressed);
document.addEventListener('visibilitychange', () => { spend(); keep(); });
