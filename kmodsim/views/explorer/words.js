// SPDX-License-Identifier: GPL-2.0-only
// What is chosen, in one line: the same words as words.py.

import {bytesInWords, hex, hexByte, littleEndian} from './numbers.js';

export function inWords(doc, relocator, kind, number, shift = 0n) {
    return SAY[kind](doc, relocator, number, shift);
}

const SAY = {
    section(doc, _, number, shift) {
        const s = doc.sections[number];
        const there = s.length ? `${hex(s.length)} bytes at offset ${hex(s.offset)} of the file` : 'no bytes in the file';
        const memory = s.address ? `${hex(s.size)} bytes at ${hex(BigInt.asUintN(64, s.address + shift))} in memory`
            : 'not loaded';
        return `section ${number} ${s.name}: ${there}; ${memory}; ${doc.usesOfSection[number]} relocations`;
    },

    symbol(doc, relocator, number, shift) {
        const {names, symbol_section, symbol_value, symbol_size, symbol_known} = doc.columns;
        const section = symbol_section[number], home = doc.symbolHome(number);
        const where = symbol_known[number]
            ? `S = ${hex(relocator.addressOf(number, shift))}` + (home ? ` in ${home}` : '')
            : 'S is not known, the load did not come so far';
        let place = doc.sectionName(section);
        if (section > 0 && section < doc.sections.length) {
            place = `${hex(symbol_size[number])} bytes at ${place}+${hex(symbol_value[number])}`;
        }
        return `symbol ${number} ${names[number]}: ${doc.symbolType(number)} ${doc.symbolBind(number)}, ${place}; `
            + `${where}; ${doc.usesOfSymbol[number]} relocations use it`;
    },

    relocation(doc, relocator, number, shift) {
        const columns = doc.columns, type = doc.type(number), symbol = columns.relocation_symbol[number];
        const name = symbol < doc.symbolCount ? columns.names[symbol] : `symbol ${symbol}, which is not there`;
        const place = `${doc.sectionName(columns.relocation_section[number])}+${hex(columns.relocation_offset[number])}`;
        const head = `relocation ${number}, ${type.name} at ${place} for ${name}`;
        if (type.size === null) return `${head}: the kernel refuses this type`;
        const numbers = relocator.numbers(number, shift);
        if (!numbers) return `${head}: not applied`;
        const told = `${head}: ${formulaInWords(numbers)}`;
        if (columns.relocation_known[number] < 2) return `${told}; not stored, the load stopped here or before`;
        const before = littleEndian(columns.relocation_before[number], type.size);
        const bytes = `${told}; ${bytesInWords(before)} -> ${bytesInWords(numbers.bytes)}`;
        return type.size ? `${bytes}; ${verdict(doc, relocator, number, numbers, shift)}` : bytes;
    },

    file(doc, _, offset) {
        const segment = doc.segmentAt(offset);
        const head = `offset ${hex(offset)} of the file: ${segment.name || 'between sections'}+${hex(offset - segment.offset)}`;
        return offset >= segment.offset + segment.kept ? `${head}, left out` : `${head}, byte ${hexByte(doc.file[offset])}`;
    },

    memory(doc, _, place, shift) {
        return `${hex(doc.address(place, shift))} in memory: ${doc.placeName(place)}`;
    },
};

export function formulaInWords({S, A, P, value, type}) {
    const numbers = {S: hex(S), A: hex(A), P: hex(P)};
    const filled = type.formula.split(/\s+/).map(word => numbers[word] ?? word).join(' ');
    return `${type.formula} = ${filled} = ${hex(value)}`;
}

// the two lines of the kernel's log
export function overflowInWords(doc, type, value) {
    return [`overflow in relocation type ${type.number} val ${value.toString(16)}`,
        `\`${doc.name}' likely not compiled with -mcmodel=kernel`];
}

export function verdict(doc, relocator, number, {type, value}, shift) {
    if (!relocator.fits(type, value)) return overflowInWords(doc, type, value).join('; ');
    if (!relocator.reaches(type, value)) {
        return '4 bytes are too few for that distance and the kernel does not check: it leads elsewhere';
    }
    return `leads to ${relocator.target(number, shift).name}`;
}
