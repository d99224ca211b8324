// SPDX-License-Identifier: GPL-2.0-only
// Above the panes: search, the time line of stages, the module's base.

import {escapeHtml, grouped, hex, newId, unsigned} from './numbers.js';
import {overflowInWords} from './words.js';

const PAGE = 4096n;
const LOWEST = 0xffffffff00001000n, HIGHEST = 0xfffffffffefff000n; // down to where 32S and PC32 fail; MODULES_END

function made(html) {
    const element = document.createElement('div');
    element.innerHTML = html;
    return element.firstElementChild;
}

// names that contain the words, or what is at an address
export function found(link, words, most = 30) {
    const doc = link.doc, rows = [];
    const text = words.trim().toLowerCase();
    if (/^(0x)?[0-9a-f]{9,16}$/.test(text)) {
        const place = doc.place(unsigned(BigInt(text.startsWith('0x') ? text : `0x${text}`) - link.shift));
        if (place >= 0) rows.push({kind: 'memory', number: place, text: `${text}: ${doc.placeName(place)}`});
    }
    if (!text) return rows;
    for (let i = 1; i < doc.sections.length && rows.length < most; i++) {
        if (doc.sections[i].name.toLowerCase().includes(text)) rows.push({kind: 'section', number: i, text: `section ${doc.sections[i].name}`});
    }
    const exact = [], part = [];
    for (let i = 1; i < doc.symbolCount; i++) {
        const name = doc.columns.names[i].toLowerCase();
        if (name === text) exact.push(i);
        else if (part.length < most && name.includes(text)) part.push(i);
    }
    for (const i of [...exact, ...part]) rows.push({kind: 'symbol', number: i, text: `symbol ${doc.columns.names[i]}`});
    return rows.slice(0, most);
}

export function searchBox(link) {
    const id = newId();
    const element = made(`<div class="kx-search"><label for="${id}">Search</label>`
        + `<input id="${id}" type="text" role="combobox" aria-expanded="false" aria-controls="${id}-list" aria-autocomplete="list" autocomplete="off" placeholder="name or 0x address">`
        + `<ul id="${id}-list" role="listbox" aria-label="Found" hidden></ul></div>`);
    const input = element.querySelector('input'), list = element.querySelector('ul');
    let rows = [], at = -1;
    const draw = () => {
        list.hidden = !rows.length;
        input.setAttribute('aria-expanded', String(rows.length > 0));
        list.innerHTML = rows.map((row, i) => `<li role="option" id="${id}-${i}" aria-selected="${i === at}" data-i="${i}">${escapeHtml(row.text)}</li>`).join('');
        if (at >= 0) input.setAttribute('aria-activedescendant', `${id}-${at}`);
        else input.removeAttribute('aria-activedescendant');
    };
    const take = i => {
        if (rows[i]) link.choose(rows[i].kind, rows[i].number);
        rows = [];
        draw();
    };
    input.addEventListener('input', () => {
        rows = found(link, input.value);
        at = rows.length ? 0 : -1;
        draw();
    });
    input.addEventListener('keydown', event => {
        if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
            if (!rows.length) rows = found(link, input.value);
            at = rows.length ? (at + (event.key === 'ArrowDown' ? 1 : -1) + rows.length) % rows.length : -1;
            draw();
        } else if (event.key === 'Enter') take(at);
        else if (event.key === 'Escape') { rows = []; draw(); } else return;
        event.preventDefault();
    });
    list.addEventListener('mousedown', event => {
        event.preventDefault();
        if (event.target.dataset.i) take(Number(event.target.dataset.i));
    });
    return element;
}

export function resetButton(begin) {
    const button = made('<button type="button" class="kx-reset">Reset</button>');
    button.addEventListener('click', begin);
    return button;
}

export function timeline(link, memory, nextChange) {
    const doc = link.doc, id = newId();
    const most = Math.max(1, ...doc.stages.map((_, i) => memory.first[i + 1] - memory.first[i]));
    const box = (stage, i) => {
        const writes = stage.writes, high = writes ? 4 + 14 * Math.log1p(writes) / Math.log1p(most) : 0;
        return `<div role="option" id="${id}-${i}" data-i="${i}" aria-label="${i + 1} ${stage.name}, ${grouped(writes)} changes" title="${escapeHtml(`${i + 1} ${stage.name}: ${stage.title}`)}" class="${stage.error ? 'kx-failed' : ''}"><i style="height:${high.toFixed(0)}px"></i></div>`;
    };
    const element = made('<div class="kx-time" role="group" aria-label="Time line">'
        + '<button type="button" class="kx-back">◀ Back</button><button type="button" class="kx-step">Step ▶</button>'
        + '<button type="button" class="kx-next">Next change</button>'
        + `<div class="kx-line" role="listbox" tabindex="0" aria-label="Stages of the load" aria-orientation="horizontal">${doc.stages.map(box).join('')}</div>`
        + '<p class="kx-stage"></p></div>');
    const line = element.querySelector('.kx-line'), told = element.querySelector('.kx-stage');
    line.addEventListener('click', event => {
        const option = event.target.closest('[data-i]');
        if (option) link.setStage(Number(option.dataset.i));
    });
    line.addEventListener('keydown', event => {
        const to = {ArrowLeft: link.stage - 1, ArrowRight: link.stage + 1, ArrowUp: link.stage - 1, ArrowDown: link.stage + 1, Home: 0, End: doc.stages.length - 1}[event.key];
        if (to === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
        event.preventDefault();
        link.setStage(to);
    });
    element.querySelector('.kx-back').addEventListener('click', () => link.setStage(link.stage - 1));
    element.querySelector('.kx-step').addEventListener('click', () => link.setStage(link.stage + 1));
    element.querySelector('.kx-next').addEventListener('click', nextChange);
    let shown = -1;
    element.show = () => {
        if (shown >= 0) line.children[shown].setAttribute('aria-selected', 'false');
        shown = link.stage;
        const stage = doc.stages[shown];
        line.children[shown].setAttribute('aria-selected', 'true');
        line.setAttribute('aria-activedescendant', `${id}-${shown}`);
        const elsewhere = stage.elsewhere ? `; ${grouped(stage.elsewhere)} bytes changed outside this module` : '';
        told.innerHTML = `<b>${shown + 1} of ${doc.stages.length}: ${escapeHtml(stage.name)}</b> ${escapeHtml(stage.title)} `
            + `<code>${escapeHtml(stage.source)}:${escapeHtml(stage.function)}</code> ${escapeHtml(stage.error || stage.summary)}${elsewhere}`;
    };
    return element;
}

export function baseControl(link) {
    const doc = link.doc, core = doc.parts[0], id = newId();
    if (!core) return made('<p class="kx-base">The load stopped before there was memory.</p>');
    const pages = Number((HIGHEST - LOWEST) / PAGE);
    const element = made('<div class="kx-base" role="group" aria-label="Base address">'
        + `<label for="${id}">Base of the module</label><input id="${id}" type="range" min="0" max="${pages}" step="1">`
        + `<input type="text" class="kx-hex" aria-label="Base in hex" spellcheck="false">`
        + '<button type="button" class="kx-loaded">As loaded</button><button type="button" class="kx-edge">Below 2 GiB</button>'
        + '<output role="status"></output></div>');
    const [slider, text] = element.querySelectorAll('input'), output = element.querySelector('output');
    const go = base => link.setShift(base - core.base);
    slider.addEventListener('input', () => go(LOWEST + BigInt(slider.value) * PAGE));
    text.addEventListener('change', () => {
        const value = /^(0x)?[0-9a-f]{1,16}$/i.test(text.value.trim()) ? BigInt(text.value.trim().replace(/^(0x)?/i, '0x')) : null;
        if (value !== null && value >= LOWEST && value <= HIGHEST) go(value & ~(PAGE - 1n));
        else {
            element.show();
            output.textContent = `A base is a hex number from ${hex(LOWEST)} to ${hex(HIGHEST)}.`;
        }
    });
    element.querySelector('.kx-loaded').addEventListener('click', () => link.setShift(0n));
    element.querySelector('.kx-edge').addEventListener('click', () => go(0xffffffff80000000n - PAGE));
    element.show = () => {
        const base = core.base + link.shift;
        slider.value = String((base - LOWEST) / PAGE);
        slider.setAttribute('aria-valuetext', hex(base));
        text.value = hex(base);
        output.textContent = judged(link);
        element.classList.toggle('kx-overflow', link.relocator.judge(link.shift).first >= 0);
    };
    return element;
}

function judged(link) {
    const doc = link.doc, {first, wide, checked, far} = link.relocator.judge(link.shift);
    const moved = link.shift ? 'Moved' : 'Where it was loaded';
    const unreached = wide ? ` ${grouped(wide)} of ${grouped(far)} PC-relative fields do not reach the kernel, which nobody checks.` : '';
    if (first < 0) return `${moved}: all ${grouped(checked)} checked 32-bit fields fit.${unreached}`;
    const {type, value} = link.relocator.numbers(first, link.shift);
    const log = overflowInWords(doc, type, value).map(line => `module: ${line}`).join('\n');
    return `${log}\n(ENOEXEC at relocation ${first}).${unreached}`;
}
