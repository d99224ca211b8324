// SPDX-License-Identifier: GPL-2.0-only
// The three tables: sections, symbols, relocation entries.

import {Grid} from './grid.js';
import {escapeHtml, grouped, hex} from './numbers.js';

const cell = (text, css = '') => `<span role="gridcell" class="${css}" title="${escapeHtml(text)}">${escapeHtml(text)}</span>`;

function table(link, kind, name, heads, rows, cells, css) {
    const grid = new Grid({
        name, heads, note: grouped(rows), rows: () => rows, cells, css,
        on: {
            hover: i => (i < 0 ? link.hover(null, 0) : link.hover(kind, i)),
            choose: i => link.choose(kind, i, kind),
            key: event => followed(link, event),
        },
    });
    grid.element.classList.add(`kx-${kind}s`);
    grid.show = () => {
        const i = link.chosen?.[kind] ?? -1;
        if (i >= 0) grid.reveal(i);
    };
    return grid;
}

// Enter: to what it leads to; Backspace: where one was before
export function followed(link, event) {
    if (event.key === 'Backspace') link.back();
    else if (event.key === 'Enter' && link.chosen?.target?.place >= 0) link.choose('memory', link.chosen.target.place);
    else return false;
    return true;
}

const mark = (link, what, i) => (link.chosen?.[what] === i ? ' kx-sel' : '') + (link.hot?.[what] === i ? ' kx-hot' : '');

export function sectionTable(link) {
    const doc = link.doc;
    const aimed = i => [link.chosen, link.hot].some(one => one?.target?.place >= 0 && doc.spanAt(one.target.place)?.section === i);
    return table(link, 'section', 'Sections', ['#', 'name', 'offset', 'size', 'address'], doc.sections.length, i => {
        const s = doc.sections[i];
        const address = s.address ? hex(BigInt.asUintN(64, s.address + link.shift)) : '-';
        return cell(String(i), 'kx-no') + cell(s.name, 'kx-name') + cell(hex(s.offset), 'kx-number') + cell(hex(s.size), 'kx-number')
            + cell(address, 'kx-address');
    }, i => (i ? mark(link, 'section', i) : '') + (i && aimed(i) ? ' kx-target' : ''));
}

export function symbolTable(link) {
    const doc = link.doc, {names, symbol_known} = doc.columns;
    const aimed = i => [link.chosen, link.hot].some(one => one?.target && one.target.symbol === i);
    return table(link, 'symbol', 'Symbols', ['#', 'name', 'section', 'S'], doc.symbolCount, i => {
        const address = symbol_known[i] ? hex(link.relocator.addressOf(i, link.shift)) : '-';
        return cell(String(i), 'kx-no') + cell(names[i], 'kx-name') + cell(doc.sectionName(doc.columns.symbol_section[i]), 'kx-short')
            + cell(address, 'kx-address');
    }, i => mark(link, 'symbol', i) + (aimed(i) ? ' kx-target' : ''));
}

export function relocationTable(link) {
    const doc = link.doc, columns = doc.columns;
    const uses = i => link.chosen?.kind === 'symbol' && columns.relocation_symbol[i] === link.chosen.number;
    return table(link, 'relocation', 'Relocation entries', ['#', 'place', 'type', 'symbol', 'A'], doc.relocationCount, i => {
        const symbol = columns.relocation_symbol[i];
        const place = `${doc.sectionName(columns.relocation_section[i])}+${hex(columns.relocation_offset[i])}`;
        return cell(String(i), 'kx-no') + cell(place, 'kx-name') + cell(doc.type(i).name.replace('R_X86_64_', ''), 'kx-type')
            + cell(columns.names[symbol] ?? String(symbol), 'kx-name') + cell(hex(columns.relocation_addend[i]), 'kx-number');
    }, i => mark(link, 'relocation', i) + (uses(i) ? ' kx-target' : ''));
}
