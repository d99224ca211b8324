// SPDX-License-Identifier: GPL-2.0-only
// What is chosen: the line in words that screen readers follow, and a relocation's numbers.

import {bytesInWords, escapeHtml, hex, littleEndian} from './numbers.js';
import {inWords, verdict} from './words.js';

// rowText(): what the chosen row of memory shows
export function details(link, memory, rowText) {
    const element = document.createElement('div');
    element.className = 'kx-details';
    element.innerHTML = '<p class="kx-words" role="status" aria-live="polite"></p><div class="kx-sum"></div>';
    const words = element.querySelector('.kx-words'), sum = element.querySelector('.kx-sum');
    element.show = () => {
        const one = link.chosen;
        let said = one ? inWords(link.doc, link.relocator, one.kind, one.number, link.shift) : 'Nothing is chosen.';
        if (one?.kind === 'memory') said += rowText();
        if (words.textContent !== said) words.textContent = said;
        const html = one && one.relocation >= 0 ? filledIn(link, memory, one.relocation) : '';
        if (sum.innerHTML !== html) sum.innerHTML = html;
    };
    return element;
}

// whether a field is filled in as of the present stage, and still is
function state(link, memory, i) {
    if (link.stage < link.doc.relocated) return 'will be filled in by apply_relocations';
    if (link.doc.columns.relocation_known[i] < 2) return 'not stored: the load stopped';
    return memory.holds(i, link.relocator) ? 'filled in' : 'filled in; the kernel has written over it since';
}

function filledIn(link, memory, i) {
    const doc = link.doc, numbers = link.relocator.numbers(i, link.shift), type = doc.type(i);
    if (!numbers || !type.size) return `<p>${escapeHtml(inWords(doc, link.relocator, 'relocation', i, link.shift))}</p>`;
    const {S, A, P, value, bytes} = numbers, columns = doc.columns;
    const symbol = columns.relocation_symbol[i];
    const before = bytesInWords(littleEndian(columns.relocation_before[i], type.size));
    const place = `${doc.sectionName(columns.relocation_section[i])}+${hex(columns.relocation_offset[i])}`;
    const rows = [
        ['S', hex(S), `${columns.names[symbol]}, in ${doc.symbolHome(symbol)}`],
        ['A', hex(A), 'addend'],
        ['P', hex(P), place],
        [type.formula, hex(value), `${type.name}, ${type.size} bytes stored`],
        ['before → after', `${before} → ${bytesInWords(bytes)}`, state(link, memory, i)],
    ];
    const cells = rows.map(row => `<tr><th scope="row">${row[0]}</th><td>${escapeHtml(row[1])}</td><td>${escapeHtml(row[2])}</td></tr>`);
    const bad = !link.relocator.fits(type, value) || !link.relocator.reaches(type, value);
    return `<table class="kx-formula"><caption>Relocation ${i}</caption>${cells.join('')}</table>`
        + `<p class="${bad ? 'kx-bad' : ''}">${bad ? '✗' : '→'} ${escapeHtml(verdict(doc, link.relocator, i, numbers, link.shift))}</p>`;
}
