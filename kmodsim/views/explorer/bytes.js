// SPDX-License-Identifier: GPL-2.0-only
// Rows of bytes, for the file and for memory: which bytes a row has, and how each is marked.

import {countUpTo, escapeHtml, hexByte} from './numbers.js';

export const HEAD = 0, BYTES = 1, CODE = 2, LEFT_OUT = 3, NOTE = 4, LABEL = 5;

// rows as numbers: kind, where they begin, how many bytes, and what they refer to
export class Rows {
    constructor() {
        this.kind = [];
        this.start = [];
        this.size = [];
        this.ref = [];
    }

    add(kind, start, size, ref = 0) {
        this.kind.push(kind);
        this.start.push(start);
        this.size.push(size);
        this.ref.push(ref);
    }

    bytes(start, end, wide) {
        for (let at = start; at < end; at += wide) this.add(BYTES, at, Math.min(wide, end - at));
    }

    get length() { return this.kind.length; }

    // the row of bytes or code that holds a byte; -1: none
    find(at) {
        let row = countUpTo(this.length, i => this.start[i], at) - 1;
        while (row >= 0 && this.kind[row] !== BYTES && this.kind[row] !== CODE && this.start[row] === at) row--;
        const holds = row >= 0 && (this.kind[row] === BYTES || this.kind[row] === CODE) && at < this.start[row] + this.size[row];
        return holds ? row : -1;
    }
}

// bytes as spans of equal marks; mark(k) gives the classes of byte k
export function byteRuns(bytes, mark) {
    let html = '';
    for (let k = 0; k < bytes.length;) {
        const css = mark(k);
        let text = hexByte(bytes[k]);
        for (k++; k < bytes.length && mark(k) === css; k++) text += ` ${hexByte(bytes[k])}`;
        html += css ? `<i class="${css}">${text}</i>` : text;
        if (k < bytes.length) html += ' ';
    }
    return html;
}

export const asText = bytes => escapeHtml(String.fromCharCode(...bytes.map(byte => (byte > 31 && byte < 127 ? byte : 46))));

// the classes of one byte: chosen, under the pointer, target, "will be filled in", stored by this stage
export function byteMark(link, where, at, more) {
    const inside = one => one?.[where] && at >= one[where][0] && at < one[where][1];
    return (inside(link.chosen) ? 'kx-sel ' : '') + (inside(link.hot) ? 'kx-hot ' : '')
        + (where === 'memory' && (link.chosen?.target?.place === at || link.hot?.target?.place === at) ? 'kx-target ' : '') + more;
}

// which byte of a row the pointer is at: all characters are equally wide
export function byteUnder(event, size) {
    const cell = event?.target.closest('.kx-bytes');
    if (!cell) return 0;
    const column = Math.floor((event.clientX - cell.getBoundingClientRect().left) / charWidth(cell) / 3);
    return Math.max(0, Math.min(size - 1, column));
}

let width = 0;

function charWidth(cell) {
    if (!width) {
        const probe = document.createElement('span');
        probe.textContent = '0'.repeat(100);
        probe.className = 'kx-probe';
        cell.append(probe);
        width = probe.getBoundingClientRect().width / 100;
        probe.remove();
    }
    return width || 7;
}
