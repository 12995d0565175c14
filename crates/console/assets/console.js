'use strict';
// What the console does without loading a page: live updates, keys, copying, distances in time. Every page works without it.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector, root = document) => root.querySelector(selector);
  const MAX_ROWS = 200;
  const SEQUENCE_MS = 1200;

  const said = one('#said');
  const say = (text) => { if (said) { said.textContent = text; } };

  // Distances in time, as the server writes them.
  const distance = (at) => {
    const away = Date.now() - at;
    const length = Math.abs(away);
    const units = [[60e3, 1e3, 's'], [3600e3, 60e3, 'min'], [2 * 86400e3, 3600e3, 'h'], [Infinity, 86400e3, 'd']];
    if (length < 1e3) { return 'now'; }
    const [, unit, name] = units.find(([below]) => length < below);
    const amount = `${Math.floor(length / unit)} ${name}`;
    return away > 0 ? `${amount} ago` : `in ${amount}`;
  };
  const tick = () => all('time[data-ago]').forEach((time) => {
    const text = distance(Date.parse(time.dateTime));
    if (time.textContent !== text) { time.textContent = text; }
  });
  setInterval(tick, 5000);

  // Copying.
  const copy = async (text) => {
    if (navigator.clipboard) { await navigator.clipboard.writeText(text); return; }
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'sr';
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  };
  document.addEventListener('click', async (event) => {
    const button = event.target.closest('[data-copy]');
    if (!button) { return; }
    try { await copy(button.dataset.copy); } catch { say('It could not be copied'); return; }
    say('Copied');
    button.classList.add('copied');
    setTimeout(() => button.classList.remove('copied'), 1500);
  });

  // A form is sent once.
  document.addEventListener('submit', (event) => {
    const form = event.target;
    if (form.method === 'dialog') { return; }
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = 'yes';
    (event.submitter || form).setAttribute('aria-busy', 'true');
  });
  window.addEventListener('pageshow', () => all('form[data-sent]').forEach((form) => {
    delete form.dataset.sent;
    all('[aria-busy]', form).forEach((button) => button.removeAttribute('aria-busy'));
  }));

  // Live updates.
  const state = one('[data-live-state]');
  const show = (name, text) => {
    if (!state) { return; }
    state.className = `live-state ${name}`;
    state.textContent = text;
  };
  const rows = one('[data-live-rows]');
  const more = one('[data-live-more]');
  const held = [];
  let isHeld = false;
  const add = (html) => {
    const template = document.createElement('template');
    template.innerHTML = html;
    all('tr', template.content).forEach((row) => {
      if (row.id && document.getElementById(row.id)) { return; }
      row.classList.add('fresh');
      rows.prepend(row);
    });
    while (rows.rows.length > MAX_ROWS) { rows.rows[rows.rows.length - 1].remove(); }
    const empty = one('[data-live-empty]');
    if (empty) { empty.hidden = true; }
    rows.closest('table').hidden = false;
  };
  const release = () => {
    held.splice(0).forEach(add);
    if (more) { more.hidden = true; }
  };
  const hold = (wanted) => {
    if (isHeld === wanted) { return; }
    isHeld = wanted;
    if (!wanted) { release(); }
    show(wanted ? 'held' : 'on', wanted ? 'Held while you look' : 'Live');
  };
  const row = (html) => {
    if (!isHeld) { add(html); return; }
    held.push(html);
    if (held.length > MAX_ROWS) { held.shift(); }
    if (more) {
      more.hidden = false;
      more.textContent = `${held.length} new`;
    }
  };
  if (rows) {
    const table = rows.closest('table');
    table.addEventListener('pointerenter', () => hold(true));
    table.addEventListener('pointerleave', () => { if (!table.contains(document.activeElement)) { hold(false); } });
    table.addEventListener('focusin', () => hold(true));
    table.addEventListener('focusout', (event) => { if (!table.contains(event.relatedTarget)) { hold(false); } });
  }
  if (more) { more.addEventListener('click', release); }
  const live = document.body.dataset.live;
  if (live && window.EventSource) {
    const source = new EventSource(`/console/live?${live}`);
    source.onopen = () => { if (!isHeld) { show('on', 'Live'); } };
    source.onerror = () => show('', source.readyState === EventSource.CLOSED ? 'Not live: load the page again' : 'Connecting again');
    source.addEventListener('part', (event) => {
      const { id, html } = JSON.parse(event.data);
      const part = document.getElementById(id);
      if (part && !part.contains(document.activeElement)) { part.innerHTML = html; }
    });
    source.addEventListener('row', (event) => row(JSON.parse(event.data).html));
    source.addEventListener('over', (event) => {
      source.close();
      show('', JSON.parse(event.data).text);
    });
    window.addEventListener('pagehide', () => source.close());
  }

  // Keys.
  const links = () => all('[data-row]').map((line) => one('a', line)).filter((link) => link && link.offsetParent !== null);
  const move = (by) => {
    const list = links();
    const line = document.activeElement.closest ? document.activeElement.closest('[data-row]') : null;
    const at = line ? list.indexOf(one('a', line)) : -1;
    const next = list[at < 0 ? (by > 0 ? 0 : list.length - 1) : Math.min(Math.max(at + by, 0), list.length - 1)];
    if (next) { next.focus(); }
  };
  const keys = one('#keys');
  const help = () => { if (keys && keys.showModal) { keys.showModal(); } };
  const search = () => {
    const box = one('[data-search]');
    if (box) { box.focus(); box.select(); } else { location.assign('/console/events?focus=search'); }
  };
  const replay = () => {
    const line = document.activeElement.closest ? document.activeElement.closest('[data-row]') : null;
    const target = (line && one('[data-replay]', line)) || one('[data-replay]');
    if (target) { target.click(); }
  };
  let sequence = 0;
  document.addEventListener('keydown', (event) => {
    const typing = event.target.closest('input:not([type=checkbox]), textarea, select');
    if (typing) {
      if (event.key === 'Escape') { typing.blur(); }
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || (keys && keys.open)) { return; }
    if (Date.now() < sequence) {
      sequence = 0;
      const link = all('[data-go]').find((candidate) => candidate.dataset.go === event.key);
      if (link) { event.preventDefault(); location.assign(link.href); }
      return;
    }
    const actions = { '/': search, '?': help, j: () => move(1), k: () => move(-1), r: replay, g: () => { sequence = Date.now() + SEQUENCE_MS; } };
    const action = actions[event.key];
    if (action) { event.preventDefault(); action(); }
  });
  document.addEventListener('click', (event) => {
    if (event.target.closest('[data-help]') && keys && keys.showModal) { event.preventDefault(); help(); }
  });
  const alert = one('[role=alert]');
  if (alert) { alert.tabIndex = -1; alert.focus(); }
})();
