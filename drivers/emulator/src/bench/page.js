// The bench page. The screen is a stream of pictures, the state a stream of events; everything else is asked for.
'use strict';
const $ = id => document.getElementById(id);
let language = localStorage.getItem('bench-language') || (navigator.language.startsWith('zh') ? 'zh' : 'en');
let kiosk = null, live = null, tab = 'missions', connected = false;
const t = () => words[language];

function element(tag, parent, text, name) {
  const one = document.createElement(tag);
  if (text !== undefined && text !== null) one.textContent = text;
  if (name) one.className = name;
  if (parent) parent.append(one);
  return one;
}
function button(text, parent, act, name) {
  const one = element('button', parent, text, name);
  one.onclick = async () => { one.disabled = true; try { await act(one); } finally { one.disabled = false; } };
  return one;
}
function say(text) { $('said').textContent = text; $('said').hidden = !text; }
$('said').onclick = () => say('');
// A failed request says why at the bottom of the page; its result is undefined.
async function ask(path, body) {
  try {
    const answer = await fetch(path, body === undefined ? { cache: 'no-store' } : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
    if (!answer.ok) { say(await answer.text()); return undefined; }
    say('');
    return answer.headers.get('content-type')?.startsWith('application/json') ? await answer.json() : true;
  } catch (why) { say(why.message); return undefined; }
}
const rig = request => ask('rig', request);

// Screen.
const screen = $('screen');
screen.onclick = event => {
  const x = event.offsetX / screen.clientWidth * screen.naturalWidth, y = event.offsetY / screen.clientHeight * screen.naturalHeight;
  ask('touch', { x: Math.round(x), y: Math.round(y) });
};
function listen() {
  const events = new EventSource('events');
  events.onopen = () => { connected = true; screen.src = `frames?${Date.now()}`; drawConnection(); };
  events.onerror = () => { connected = false; drawConnection(); };
  events.onmessage = event => { const before = live; live = JSON.parse(event.data); changed(before); };
}
function drawConnection() { $('connection').textContent = connected ? t().connected : t().lost; $('connection').className = connected ? '' : 'lost'; }

// State.
const onScreen = id => Boolean(live?.rig?.text_ids.includes(id));
const reads = text => Boolean(text && live?.rig?.texts.some(one => one.includes(text)));
const power = () => live?.rig?.power ?? { stage: 'none' };
const isOn = name => Boolean(live?.faults.includes(name));
const nameOf = id => kiosk.residents.find(one => one.id === id)?.name ?? t().cardNames[id] ?? t().idNames[id] ?? id;
function changed(before) {
  drawNow(); tickMissions();
  if (tab === 'faults') drawFaultStates();
  if (live.receipts !== before?.receipts || live.documents !== before?.documents) drawTrays();
}
function drawNow() {
  const now = $('now'), w = t().now; now.replaceChildren();
  if (!live) return;
  const chip = (text, name) => element('span', now, text, name);
  live.card ? chip(w.card(nameOf(live.card)), 'on') : chip(w.noCard);
  if (live.id_card) chip(w.idCard(nameOf(live.id_card)), 'on');
  if (live.phone) chip(w.phone, 'on');
  if (live.faults.length) chip(w.faults(live.faults.length), 'bad');
  if (!live.rig) return;
  const { stage } = power();
  if (!live.rig.running || stage === 'off') chip(w.off, 'bad');
  if (stage === 'armed') chip(w.armed, 'bad');
  // A prepared power cut keeps one answer from the kiosk; that is no cut link.
  else if (live.rig.platform_link_cut && stage !== 'off') chip(w.platform, 'bad');
  if (live.rig.acquirer_link_cut) chip(w.acquirer, 'bad');
}

// Missions. Each step has an optional control and says by `met` whether it has happened; a step counts after the ones before it.
async function holdUp(id) {
  const code = await ask(`phone/${id}`);
  return code && await ask('camera/show', { text: code.text });
}
const payers = ['zhang-guiying', 'wang-jianguo', 'li-yan', 'ran-guangming', 'aguli', 'ouyang-xuemei'];
function residentButtons(at, list, act) { for (const one of kiosk.residents.filter(one => list.includes(one.id))) button(one.name, at, () => act(one.id)); }
const act = (at, mission, step, does) => button(t()[mission.name][1][step][2], at, does, 'main');
const missions = [
  { name: 'balance', steps: [
    { control: (at, m) => act(at, m, 0, () => ask('card/insert', { resident: 'zhang-guiying' })), met: () => live.card === 'zhang-guiying' },
    { met: () => reads('您的医保个人账户') || reads('Your medical insurance account') },
    { control: (at, m) => act(at, m, 2, () => ask('card/remove', {})), met: () => !live.card && onScreen('welcome.title') },
  ] },
  { name: 'power', rig: true, steps: [
    { control: at => residentButtons(at, payers, holdUp), met: () => onScreen('menu.title') },
    { met: () => onScreen('confirm.title') },
    { control: (at, m) => act(at, m, 2, async () => { const order = power().order; if (await rig({ do: 'cut-power-at-charge' }) !== undefined) m.data = { armed: true, before: order }; update(m); }),
      show: (at, m) => { if (m.data.armed && power().stage === 'expired') element('p', at, t().expired); }, met: m => m.data.armed },
    { met: m => ['off', 'restarted'].includes(power().stage) && power().order && power().order !== m.data.before },
    { met: () => power().stage === 'restarted' && onScreen('welcome.title') },
    { show: (at, m) => { if (m.data.ledgers) drawLedgerTable(at, m.data.ledgers, [m.data.row]); },
      poll: async m => {
        const ledgers = await rig({ do: 'ledgers' }), row = ledgers?.rows.find(one => one.order === power().order);
        if (row) m.data = { ...m.data, ledgers, row };
      },
      met: m => m.data.row?.agreement === 'agree' && m.data.row.kiosk.state === 'paid' && m.data.ledgers.charged_twice.length === 0 },
  ] },
  { name: 'forged', steps: [
    { control: (at, m) => act(at, m, 0, async () => { const forged = await ask('camera/forge', { resident: 'ran-guangming' }); if (forged) m.data = { forged }; update(m); }),
      show: (at, m) => { if (m.data.forged) drawForgery(at, m.data.forged); }, met: m => m.data.forged },
    { met: () => onScreen('code.unknown') },
    { control: (at, m) => act(at, m, 2, () => holdUp('ran-guangming')), met: () => onScreen('menu.title') },
  ] },
  { name: 'log', rig: true, steps: [
    { control: (at, m) => act(at, m, 0, async () => { const log = await rig({ do: 'log' }); if (log) m.data = { log, at: Math.max(0, log.length - 1) }; update(m); }), met: m => m.data.log },
    { show: (at, m) => { if (m.data.log) drawLog(at, m); }, met: m => m.data.verdict },
    { show: (at, m) => { if (m.data.verdict) drawVerdict(at, m.data.verdict); }, met: m => m.data.verdict?.original.accepted && !m.data.verdict.altered.accepted },
  ] },
  { name: 'word', rig: true, steps: [
    { control: drawTitles, show: (at, m) => { if (m.data.change) drawChange(at, m.data.change); }, met: m => m.data.change },
    { control: (at, m) => act(at, m, 1, () => holdUp('ran-guangming')), met: m => onScreen('menu.title') && (reads(m.data.zh) || reads(m.data.en)) },
  ] },
];
for (const mission of missions) Object.assign(mission, { done: 0, data: {} });
let open = missions[0];

function drawMissions() {
  const all = $('missions'); all.replaceChildren();
  for (const mission of missions) { mission.box = element('div', all, null, 'box mission'); redraw(mission); }
}
function redraw(mission) {
  if (!mission.box || !kiosk) return;
  const box = mission.box, [title, steps] = t()[mission.name], is_done = mission.done === steps.length, is_open = mission === open;
  box.replaceChildren(); box.className = `box mission${is_done ? ' done' : is_open ? ' now' : ''}`;
  const head = element('button', box, null, 'head'); head.setAttribute('aria-expanded', is_open);
  head.onclick = () => { const last = open; open = is_open ? null : mission; for (const one of new Set([last, mission])) if (one) redraw(one); };
  element('span', head, is_done ? '✓' : missions.indexOf(mission) + 1, 'dot'); element('span', head, title);
  element('span', head, t().of(mission.done, steps.length), 'count');
  if (!is_open) return;
  if (mission.rig && !kiosk.rig) { element('p', box, t().noRig); return; }
  const list = element('ol', box);
  steps.forEach(([does, look], at) => {
    const item = element('li', list, null, at < mission.done ? 'done' : at === mission.done ? 'now' : 'later');
    element('span', item, at < mission.done ? '✓' : at + 1, 'dot');
    const text = element('div', item), step = mission.steps[at];
    element('p', text, does, 'do'); element('p', text, look);
    if (step.control && at === mission.done) step.control(text, mission);
    if (step.show && at <= mission.done) step.show(text, mission);
  });
  if (mission.done) button(t().again, box, async () => { mission.done = 0; mission.data = {}; await ask('camera/hide', {}); redraw(mission); });
}
function update(mission) { redraw(mission); tickMissions(); }
function tickMissions() {
  if (!kiosk || !live || !open) return;
  const before = open.done;
  while (open.done < open.steps.length && open.steps[open.done].met(open)) open.done += 1;
  if (open.done === before) return;
  // Whoever was recognised by a code puts the phone away.
  if (live.phone && onScreen('menu.title')) ask('camera/hide', {});
  redraw(open);
  open.box.querySelector('li.now, li:last-child')?.scrollIntoView({ block: 'nearest' });
}
setInterval(async () => {
  const step = open?.steps[open.done], mission = open;
  if (!step?.poll || !live?.rig) return;
  await step.poll(mission); update(mission);
}, 2000);

function drawForgery(at, { valid, forged, byte }) {
  for (const [title, bytes] of [[t().valid, valid], [t().forgedCode, forged]]) {
    const line = element('pre', at, `${title}  `);
    bytes.forEach((one, n) => { line.append(' '); n === byte ? element('mark', line, one) : line.append(one); });
  }
}
const bytesOf = text => new TextEncoder().encode(text).length;
function drawLog(at, mission) {
  const { log } = mission.data, list = element('div', at, null, 'records');
  log.forEach((one, n) => {
    const row = button(`${one.seq}  ${t().time(one.at_ms)}  ${one.kind ?? ''}`, list, () => { mission.data.at = n; redraw(mission); });
    row.setAttribute('aria-pressed', n === mission.data.at);
    if (n === mission.data.at) requestAnimationFrame(() => { list.scrollTop = row.offsetTop - list.offsetTop - 60; });
  });
  const record = log[mission.data.at];
  if (!record) return;
  element('p', at, t().choose);
  const body = element('pre', at, null, 'bytes');
  let offset = 0;
  for (const character of record.body) {
    // Of a character of several bytes the last is changed, which leaves it text.
    const byte = offset + bytesOf(character) - 1;
    element('span', body, character).onclick = async () => {
      const verdict = await rig({ do: 'alter-log', epoch: record.epoch, record: record.record, byte });
      if (verdict) mission.data.verdict = verdict;
      update(mission);
    };
    offset += bytesOf(character);
  }
}
function marked(at, title, text, byte) {
  const line = element('pre', at, `${title}  `);
  line.style.wordBreak = 'break-all';
  let offset = 0, plain = '';
  for (const character of text) {
    const next = offset + bytesOf(character);
    if (byte >= offset && byte < next) { line.append(plain); plain = ''; element('mark', line, character); } else plain += character;
    offset = next;
  }
  line.append(plain);
}
function drawVerdict(at, { before, after, byte, original, altered }) {
  marked(at, t().before, before, byte); marked(at, t().after, after, byte);
  for (const [title, verdict] of [[t().original, original], [t().altered, altered]]) {
    element('h3', at, `${title}: ${verdict.accepted ? t().accepted : t().rejected}`);
    element('pre', at, verdict.output, verdict.accepted ? 'good' : 'bad');
  }
}
function drawTitles(at, mission) {
  const { services } = mission.data;
  if (!services) {
    element('p', at, t().wait);
    if (!mission.asked) { mission.asked = true; rig({ do: 'services' }).then(list => { mission.asked = false; if (list) mission.data.services = list; redraw(mission); }); }
    return;
  }
  const choice = element('select', element('label', at, t().service));
  for (const one of services) element('option', choice, one[language]).value = one.id;
  choice.value = mission.data.service ?? 'medical.balance';
  const zh = element('input', element('label', at, t().titleZh)), en = element('input', element('label', at, t().titleEn));
  zh.type = en.type = 'text';
  const fill = () => { const one = services.find(one => one.id === choice.value); if (one) [zh.value, en.value] = [one.zh, one.en]; };
  choice.onchange = () => { mission.data.service = choice.value; fill(); };
  fill();
  act(at, mission, 0, async () => {
    const change = await rig({ do: 'change-title', service: choice.value, zh: zh.value, en: en.value });
    if (change) mission.data = { change, zh: zh.value, en: en.value };
    update(mission);
  });
}
function drawChange(at, { file, before, after }) {
  element('pre', at, `${file}\n${before.map(line => `− ${line}`).join('\n')}\n${after.map(line => `+ ${line}`).join('\n')}`);
}

// Hands.
let codeText = null, shared;
function drawHands() {
  const w = t(), all = $('hands'); all.replaceChildren();
  const columns = element('div', all, null, 'columns'), box = title => { const one = element('div', columns, null, 'box'); element('h2', one, title); return one; };
  const cards = box(w.cards); element('p', cards, w.cardsLead);
  for (const one of kiosk.residents) button(`${one.name} ${one.pin}`, cards, () => ask('card/insert', { resident: one.id })).title = one.version;
  button(w.take, cards, () => ask('card/remove', {}), 'main');
  element('h3', cards, w.otherCards);
  for (const [id, name] of Object.entries(w.cardNames)) button(name, cards, () => ask('card/insert', { resident: id }));
  const phone = box(w.phone); element('p', phone, w.phoneLead);
  const code = element('div', null); code.id = 'code';
  residentButtons(phone, kiosk.residents.map(one => one.id), async id => {
    const fresh = await ask(`phone/${id}`);
    if (!fresh) return;
    codeText = fresh.text; code.replaceChildren();
    const image = element('img', code); image.alt = w.phone; image.src = `data:image/svg+xml,${encodeURIComponent(fresh.svg)}`; hold.disabled = false;
  });
  phone.append(code);
  const hold = button(w.hold, phone, () => ask('camera/show', { text: codeText }), 'main'); hold.disabled = !codeText;
  button(w.away, phone, () => { putAway(); return ask('camera/hide', {}); });
  const real = element('p', phone, `${w.realPhone} `), link = element('a', real, w.openPage);
  link.href = kiosk.phone_page; link.target = '_blank'; link.rel = 'noopener';
  button(w.share, phone, shareWindow);
  const file = element('input', element('label', phone, `${w.picture} `)); file.type = 'file'; file.accept = 'image/png,image/jpeg';
  file.onchange = () => { const [picture] = file.files; if (picture) holdPicture(picture); };
  element('p', phone, w.paste);
  const bills = box(w.bills); element('p', bills, w.billsLead);
  for (const paper of kiosk.papers) button(paper.title[language], bills, () => ask('camera/show', { text: paper.code })).title = paper.code;
  button(w.away, bills, () => ask('camera/hide', {}), 'main');
  if (kiosk.id_reader) {
    const ids = box(w.idCards); element('p', ids, w.idLead);
    residentButtons(ids, kiosk.residents.map(one => one.id), id => ask('id-card/lay', { resident: id }));
    button(w.lift, ids, () => ask('id-card/lift', {}), 'main');
    element('h3', ids, w.idOthers);
    for (const [id, name] of Object.entries(w.idNames)) button(name, ids, () => ask('id-card/lay', { resident: id }));
  }
  const trays = [['paper', w.paper]]; if (kiosk.document_printer) trays.push(['sheet', w.sheets]);
  for (const [id, title] of trays) element('div', box(title), null, 'tray').id = id;
  drawTrays();
}
function drawTrays() {
  if (!kiosk || !live || !$('paper')) return;
  const w = t();
  for (const [id, count, none, name] of [['paper', live.receipts, w.noPaper, w.receipt], ['sheet', live.documents, w.noSheets, w.sheet]]) {
    const tray = $(id);
    if (!tray) continue;
    tray.replaceChildren();
    if (!count) element('p', tray, none);
    for (let n = count - 1; n >= 0; n -= 1) {
      const link = element('a', tray), image = element('img', link);
      link.href = image.src = `${id}/${n}.png`; link.target = '_blank'; image.alt = link.title = name(n + 1);
    }
  }
}
async function holdPicture(picture) {
  const answer = await fetch('camera/page', { method: 'POST', body: picture });
  say(answer.ok ? '' : await answer.text());
}
document.onpaste = event => {
  const picture = [...event.clipboardData.files].find(file => file.type.startsWith('image/'));
  if (picture) holdPicture(picture);
};
// A shared window is sent to the camera at each change, as a phone's screen would be.
function putAway() { for (const track of shared ? shared.getTracks() : []) track.stop(); shared = undefined; }
async function shareWindow() {
  putAway();
  try { shared = await navigator.mediaDevices.getDisplayMedia({ video: true }); } catch (why) { say(t().noWindow + why.message); return; }
  sendFilm(shared);
}
async function sendFilm(mine) {
  const film = document.createElement('video'), canvas = document.createElement('canvas');
  film.srcObject = mine;
  await film.play();
  while (shared === mine && mine.active) {
    const scale = Math.min(1, 1600 / Math.max(film.videoWidth, film.videoHeight));
    [canvas.width, canvas.height] = [film.videoWidth * scale, film.videoHeight * scale];
    canvas.getContext('2d').drawImage(film, 0, 0, canvas.width, canvas.height);
    await holdPicture(await new Promise(done => canvas.toBlob(done, 'image/jpeg', .92)));
    await new Promise(done => setTimeout(done, 300));
  }
  if (shared === mine) { putAway(); ask('camera/hide', {}); }
}

// Faults.
let switches = [];
function drawFaults() {
  const w = t(), all = $('faults'), english = language === 'en'; all.replaceChildren(); switches = [];
  const first = element('div', all, null, 'box');
  element('h2', first, w.everyday); element('p', first, w.everydayLead);
  const rows = element('div', first, null, 'rows');
  const row = (title, detail) => { const one = element('div', rows, null, 'row'), text = element('div', one); element('strong', text, title); element('p', text, detail); return one; };
  for (const [name, [title, detail]] of Object.entries(w.everydayNames)) {
    const link = ['platform', 'acquirer'].includes(name);
    if (link ? !kiosk.rig : !kiosk.faults.some(one => one.name === name)) continue;
    const is_on = () => link ? Boolean(live?.rig?.[`${name}_link_cut`]) : isOn(name);
    const one = button('', row(title, detail), () => link ? rig({ do: 'link', link: name, cut: !is_on() }) : ask('fault', { name, on: !is_on() }));
    switches.push(() => { one.textContent = is_on() ? w.restore : w.happen; one.setAttribute('aria-pressed', is_on()); });
  }
  if (kiosk.rig) button(w.cut, row(...w.power2), () => rig({ do: 'cut-power' }));
  button(w.clear, first, async () => {
    await ask('fault/clear', {});
    if (kiosk.rig) for (const link of ['platform', 'acquirer']) await rig({ do: 'link', link, cut: false });
  }, 'main');
  const catalogue = element('details', all, null, 'box catalogue'), head = element('summary', catalogue, `${w.catalogue} (${kiosk.faults.length})`);
  head.append(element('span', null, '', 'on-count')); switches.push(() => { head.lastChild.textContent = live?.faults.length ? w.on(live.faults.length) : ''; });
  element('p', catalogue, w.catalogueLead);
  const readable = name => { const text = name.replaceAll('-', ' '); return text[0].toUpperCase() + text.slice(1); };
  for (const device of new Set(kiosk.faults.map(one => one.device_name))) {
    const ours = kiosk.faults.filter(one => one.device_name === device), fold = element('details', catalogue);
    element('summary', fold, `${english ? w.devices[device] : ours[0].device} (${ours.length})`);
    const table = element('table', fold);
    for (const step of new Set(ours.map(one => one.step_name))) {
      const line = table.insertRow(), of_step = ours.filter(one => one.step_name === step);
      line.insertCell().textContent = step ? (english ? readable(step) : of_step[0].step) : w.states;
      const cell = line.insertCell();
      for (const fault of of_step) {
        const title = english ? (step ? w.kinds[fault.kind] : readable(fault.name)) : fault.title;
        const one = button(title, cell, () => ask('fault', { name: fault.name, on: !isOn(fault.name) }));
        one.title = fault.name; switches.push(() => one.setAttribute('aria-pressed', isOn(fault.name)));
      }
    }
  }
  drawFaultStates();
}
function drawFaultStates() { for (const draw of switches) draw(); }

// Ledgers.
function drawLedgerTable(at, ledgers, rows) {
  const w = t(), table = element('table', element('div', at, null, 'scroll')), head = element('tr', element('thead', table)), body = element('tbody', table);
  for (const title of w.columns) element('th', head, title);
  for (const row of rows) {
    const line = element('tr', body);
    element('code', element('td', line), row.order.slice(0, 8)).title = row.order;
    for (const cell of [row.kiosk, row.platform, row.acquirer]) {
      const place = element('td', line, cell ? w.states3[cell.state] : w.none, 'state');
      if (cell) element('small', place, [cell.total_fen === null ? '' : w.yuan(cell.total_fen), cell.at_ms === null ? '' : w.time(cell.at_ms)].filter(Boolean).join(' · '));
    }
    element('td', line, w.agreements[row.agreement], `state ${row.agreement}`);
  }
  if (ledgers.charged_twice.length) element('p', at, w.twice(ledgers.charged_twice.join(' ')), 'differ'); else element('p', at, w.notTwice, 'agree');
}
async function drawLedgers() {
  if (!kiosk || tab !== 'ledgers') return;
  const w = t(), all = $('ledgers');
  if (!kiosk.rig) { all.replaceChildren(); element('p', all, w.noRig); return; }
  const ledgers = await rig({ do: 'ledgers' });
  if (!ledgers) return;
  all.replaceChildren();
  const box = element('div', all, null, 'box');
  element('p', box, w.ledgersLead);
  if (ledgers.rows.length) drawLedgerTable(box, ledgers, ledgers.rows); else element('p', box, w.noOrders);
  const link = element('a', element('p', box), w.operator); link.href = `${kiosk.platform}/admin`; link.target = '_blank'; link.rel = 'noopener';
}
setInterval(() => { if (!document.hidden) drawLedgers(); }, 3000);

// The whole page.
function show(name) {
  tab = name;
  for (const one of $('tabs').children) one.setAttribute('aria-selected', one.dataset.tab === name);
  for (const id of Object.keys(t().tabs)) $(id).hidden = id !== name;
  if (name === 'ledgers') drawLedgers();
  if (name === 'faults') drawFaultStates();
}
function draw() {
  const w = t();
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en'; document.title = w.title;
  for (const one of document.querySelectorAll('[data-t]')) one.textContent = w[one.dataset.t];
  screen.alt = w.screen; $('language').textContent = w.other; drawConnection(); drawNow();
  $('tabs').replaceChildren();
  for (const [id, title] of Object.entries(w.tabs)) {
    const one = element('button', $('tabs'), title); one.dataset.tab = id; one.setAttribute('role', 'tab'); one.setAttribute('aria-controls', id); one.onclick = () => show(id);
  }
  if (kiosk) { drawMissions(); drawHands(); drawFaults(); }
  show(tab);
}
$('language').onclick = () => { language = language === 'zh' ? 'en' : 'zh'; localStorage.setItem('bench-language', language); draw(); };
(async () => {
  draw();
  while (!(kiosk = await ask('state'))) await new Promise(done => setTimeout(done, 1000));
  draw(); listen();
})();
