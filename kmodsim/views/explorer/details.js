// SPDX-License-Identifier: GPL-2.0-only
// What is chosen: the line in words that screen readers follow, and a relocation's numbers.

import {bytesInWords, escapeHtml, hex, littleEndian} from './numbers.js';
import {inWords, verdict} from './words.js';

// rowText(): what the chosen row of memory shows
export function details(link, rowText) {
    const element = document.createElement('div');
    element.className = 'kx-details';
    element.innerHTML = '<p class="kx-words" role="status" aria-live="polite"></p><div class="kx-sum"></div>';
    const words = element.querySelector('.kx-words'), sum = element.querySelector('.kx-sum');
    element.show = () => {
        const one = link.chosen;
        let said = one ? inWords(link.doc, link.relocator, one.kind, one.number, link.shift) : 'Nothing is chosen.';
        if (one?.kind === 'memory') said += rowText();
        if (words.textContent !== said) words.textContent = said;
        const html = one && one.relocation >= 0 ? filledIn(link, one.relocation) : '';
        if (sum.innerHTML !== html) sum.innerHTML = html;
    };
    return element;
}

function filledIn(link, i) {
    const doc = link.doc, numbers = link.relocator.numbers(i, link.shift), type = doc.type(i);
    if (!numbers || !type.size) return `<p>${escapeHtml(inWords(doc, link.relocator, 'relocation', i, link.shift))}</p>`;
    const {S, A, P, value, bytes} = numbers, columns = doc.columns;
    const symbol = columns.relocation_symbol[i], stored = columns.relocation_known[i] > 1;
    const before = bytesInWords(littleEndian(columns.relocation_before[i], type.size));
    const place = `${doc.sectionName(columns.relocation_section[i])}+${hex(columns.relocation_offset[i])}`;
    const now = link.stage < doc.relocated ? 'will be filled in by apply_relocations' : stored ? 'filled in' : 'not stored: the load stopped';
    const rows = [
        ['S', hex(S), `${columns.names[symbol]}, in ${doc.symbolHome(symbol)}`],
        ['A', hex(A), 'addend'],
        ['P', hex(P), place],
        [type.formula, hex(value), `${type.name}, ${type.size} bytes stored`],
        ['before → after', `${before} → ${bytesInWords(bytes)}`, now],
    ];
    const cells = rows.map(row => `<tr><th scope="row">${row[0]}</th><td>${escapeHtml(row[1])}</td><td>${escapeHtml(row[2])}</td></tr>`);
    const bad = !link.relocator.fits(type, value) || !link.relocator.reaches(type, value);
    return `<table class="kx-formula"><caption>Relocation ${i}</caption>${cells.join('')}</table>`
        + `<p class="${bad ? 'kx-bad' : ''}">${bad ? '✗' : '→'} ${escapeHtml(verdict(doc, link.relocator, i, numbers, link.shift))}</p>`;
}
