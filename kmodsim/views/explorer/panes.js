// SPDX-License-Identifier: GPL-2.0-only
// The two panes of bytes: the file, and memory with its instructions.

import {Grid, ROW} from './grid.js';
import {BYTES, CODE, HEAD, LABEL, LEFT_OUT, NOTE, Rows, asText, byteMark, byteRuns, byteUnder} from './bytes.js';
import {lights} from './link.js';
import {countUpTo, escapeHtml, grouped, hex} from './numbers.js';
import {followed} from './tables.js';

const WIDE = 8; // bytes a row
const SHOWN = 8; // bytes of an instruction that are shown; few are longer
const wholeRow = (text, css) => `<span role="gridcell" class="kx-whole ${css}">${escapeHtml(text)}</span>`;
const last8 = address => address.toString(16).padStart(16, '0').slice(-8);

function bytePane(link, where, name, note, heads, rows, cells) {
    const can = i => rows().kind[i] === BYTES || rows().kind[i] === CODE;
    const at = (i, event) => rows().start[i] + byteUnder(event, rows().size[i]);
    const grid = new Grid({
        name, note, heads, rows: () => rows().length, cells,
        css: i => (can(i) ? lights(link, where, rows().start[i], rows().start[i] + rows().size[i]).replace('kx-sel', 'kx-has').replace('kx-hot', '') : `kx-k${rows().kind[i]}`),
        on: {
            hover: (i, event) => (i < 0 || !can(i) ? link.hover(null, 0) : link.hover(where, at(i, event))),
            choose: (i, event) => can(i) && link.choose(where, at(i, event), where),
            key: event => sideways(link, where, event) || followed(link, event),
        },
    });
    grid.element.classList.add(`kx-${where}`);
    grid.show = () => {
        const i = link.chosen?.[where] ? rows().find(link.chosen[where][0]) : -1;
        if (i >= 0) grid.reveal(i);
    };
    return grid;
}

function sideways(link, where, event) {
    const by = {ArrowLeft: -1, ArrowRight: 1}[event.key], now = link.chosen?.[where]?.[0];
    if (!by || now === undefined) return false;
    const size = where === 'file' ? link.doc.fileSize : link.doc.memorySize;
    if (now + by >= 0 && now + by < size) link.choose(where, now + by, where);
    return true;
}

export function filePane(link) {
    const doc = link.doc, rows = new Rows();
    doc.segments.forEach((segment, i) => {
        rows.add(HEAD, segment.offset, 0, i);
        rows.bytes(segment.offset, segment.offset + segment.kept, WIDE);
        if (segment.kept < segment.size) rows.add(LEFT_OUT, segment.offset + segment.kept, segment.size - segment.kept, i);
    });
    const cells = i => {
        const start = rows.start[i], size = rows.size[i], segment = doc.segments[rows.ref[i]];
        if (rows.kind[i] === HEAD) return wholeRow(segment.name || `(${segment.size} bytes of padding)`, 'kx-head');
        if (rows.kind[i] === LEFT_OUT) return wholeRow(`${grouped(size)} bytes left out`, 'kx-left-out');
        const bytes = doc.file.subarray(start, start + size);
        const marks = k => byteMark(link, 'file', start + k, doc.relocationAt(doc.byFile, start + k) >= 0 ? 'kx-will' : '');
        return `<span role="gridcell" class="kx-at">${start.toString(16).padStart(6, '0')}</span>`
            + `<span role="gridcell" class="kx-bytes">${byteRuns(bytes, marks)}</span>`
            + `<span role="gridcell" class="kx-text">${asText(bytes)}</span>`;
    };
    const note = `${grouped(doc.fileSize)} bytes; dotted: will be filled in`;
    return bytePane(link, 'file', 'The file', note, ['offset', 'bytes', 'text'], () => rows, cells);
}

// the rows of memory as of a stage
export function memoryRows(doc, stage) {
    const rows = new Rows(), {code_place: at, code_length: size, code_since: since, code_until: until} = doc.columns;
    if (stage < doc.moved) {
        rows.add(NOTE, -1, 0, 'no memory yet: move_module allocates it');
        return rows;
    }
    let row = 0;
    doc.spans.forEach((span, number) => {
        const end = span.place + span.kept, init = doc.partAt(span.place).kind === 'init';
        if (init && stage >= doc.freed) {
            if (doc.partAt(span.place).place === span.place) rows.add(NOTE, span.place, 0, 'init memory has been given back (do_free_init)');
            return;
        }
        rows.add(HEAD, span.place, 0, number);
        while (row < at.length && at[row] < span.place) row++;
        if (span.code && at.length) {
            for (; row < at.length && at[row] < end; row++) {
                if (stage < since[row] || stage >= until[row]) continue;
                label(doc, rows, span, at[row]);
                rows.add(CODE, at[row], size[row], row);
            }
        } else if (span.section) dataRows(doc, rows, span, end);
        if (span.kept < span.size) rows.add(LEFT_OUT, end, span.size - span.kept, number);
    });
    return rows;
}

function label(doc, rows, span, place) {
    const offset = place - doc.sections[span.section].place, symbol = doc.symbolAt(span.section, offset);
    if (symbol >= 0 && Number(doc.columns.symbol_value[symbol]) === offset) rows.add(LABEL, place, 0, symbol);
}

// bytes, a new row at each symbol
function dataRows(doc, rows, span, end) {
    const start = doc.sections[span.section].place, symbols = doc.symbolsOf.get(span.section) ?? [];
    let at = span.place;
    for (const symbol of symbols) {
        const place = start + Number(doc.columns.symbol_value[symbol]);
        if (place < at || place >= end || (place === at && rows.kind.at(-1) === LABEL)) continue;
        rows.bytes(at, place, WIDE);
        label(doc, rows, span, place);
        at = place;
    }
    rows.bytes(at, end, WIDE);
}

export function memoryPane(link, memory) {
    const doc = link.doc;
    const known = new Map(), rowsAt = stage => {
        const epoch = countUpTo(doc.epochs.length, i => doc.epochs[i], stage);
        if (!known.has(epoch)) known.set(epoch, memoryRows(doc, stage));
        return known.get(epoch);
    };
    const idle = window.requestIdleCallback ?? (work => setTimeout(work, 50));
    for (const stage of doc.epochs) idle(() => rowsAt(stage)); // so that no step has to wait for its rows
    let rows = rowsAt(link.stage);
    const cells = i => {
        const start = rows.start[i], size = rows.size[i], kind = rows.kind[i];
        if (kind === NOTE) return wholeRow(rows.ref[i], 'kx-head');
        if (kind === HEAD) return wholeRow(headOf(link, doc.spans[rows.ref[i]]), 'kx-head');
        if (kind === LEFT_OUT) return wholeRow(`${grouped(size)} bytes left out`, 'kx-left-out');
        if (kind === LABEL) return wholeRow(`${doc.columns.names[rows.ref[i]]}:`, 'kx-label');
        const bytes = memory.read(start, start + Math.min(size, SHOWN), link.relocator, link.shift);
        const will = at => (link.stage < doc.relocated && doc.relocationAt(doc.byPlace, at) >= 0 ? 'kx-will ' : '');
        const marks = k => byteMark(link, 'memory', start + k, will(start + k) + (memory.changed[start + k] ? 'kx-new' : ''));
        const more = size > SHOWN ? '…' : '';
        const text = kind === CODE ? codeText(link, memory, rows.ref[i], start, size) : asText(bytes);
        return `<span role="gridcell" class="kx-at">${last8(doc.address(start, link.shift))}</span>`
            + `<span role="gridcell" class="kx-bytes">${byteRuns(bytes, marks)}${more}</span>`
            + `<span role="gridcell" class="kx-text">${text}</span>`;
    };
    const note = 'after loading; addresses begin with ffffffff';
    const pane = bytePane(link, 'memory', 'Memory', note, ['address', 'bytes', 'instruction or text'], () => rows, cells);
    pane.rebuild = () => {
        rows = rowsAt(link.stage);
        pane.grid.setAttribute('aria-description', `as of ${doc.stages[link.stage].name}`);
    };
    // bytes and instruction of the active row, for the line that is read aloud
    pane.activeText = () => {
        const i = pane.active, there = rows.kind[i] === BYTES || rows.kind[i] === CODE;
        const shown = made => [...made.children].slice(1).map(cell => cell.textContent.replace(/\s+/g, ' ').trim()).join(': ');
        if (!there) return '; not in memory now';
        const row = document.createElement('div');
        row.innerHTML = cells(i);
        return `; ${shown(row)}`;
    };
    pane.placeInSight = () => rows.start[Math.min(rows.length - 1, Math.floor(pane.top / ROW))];
    pane.showPlace = place => {
        const row = rows.find(place);
        if (row >= 0) pane.scrollTo(row * ROW);
    };
    return pane;
}

function headOf(link, span) {
    const doc = link.doc;
    const permission = doc.permission(span.place, link.stage);
    return `${span.name || 'hole'}  ${hex(doc.address(span.place, link.shift))}  ${grouped(span.size)} bytes  ${permission}`;
}

// an instruction's text; with the module moved, the addresses in it too; behind it where it leads
function codeText(link, memory, row, start, size) {
    const doc = link.doc, text = doc.columns.texts[doc.columns.code_text[row]];
    const entries = doc.relocationsIn(doc.byPlace, start, start + size);
    let shown = text, aim = '';
    for (const i of entries) {
        if (link.stage >= doc.relocated && !memory.holds(i, link.relocator)) continue; // patched since
        const target = link.relocator.target(i);
        if (target) aim += ` → ${target.name}`;
        if (link.shift && link.stage >= doc.relocated) shown = movedText(link, shown, i);
    }
    if (link.shift) shown = shown.replace(/\bffffffff[0-9a-f]{8}\b|0xffffffff[0-9a-f]{8}\b/g, found => movedAddress(link, found));
    return `${escapeHtml(shown)}<b class="kx-aim">${escapeHtml(aim)}</b>`;
}

function movedAddress(link, found) {
    const address = BigInt(found.startsWith('0x') ? found : `0x${found}`);
    return link.doc.place(address) < 0 ? found : hex(BigInt.asUintN(64, address + link.shift));
}

// the distance to something that does not move along: 0x1234(%rip); and an address as a small negative number
function movedText(link, text, i) {
    const here = link.relocator.numbers(i), there = link.relocator.numbers(i, link.shift);
    if (!here || here.value === there.value) return text;
    const signed = value => BigInt.asIntN(32, value), old = hex(signed(here.value)), now = hex(signed(there.value));
    return text.replace(here.type.pcRelative ? `${old}(%rip)` : `${old}(`, here.type.pcRelative ? `${now}(%rip)` : `${now}(`);
}
