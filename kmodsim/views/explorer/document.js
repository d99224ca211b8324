// SPDX-License-Identifier: GPL-2.0-only
// The document as Python packed it (packing.py), unpacked into typed arrays, and questions about it.

import {countUpTo} from './numbers.js';

const ARRAYS = {u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, i4: Int32Array, u8: BigUint64Array, i8: BigInt64Array};
const NAMING = new Set(['FUNC', 'OBJECT', 'NOTYPE']);
const PART = ['kind', 'base', 'place', 'size', 'text', 'ro', 'roAfterInit'];
const SECTION = ['index', 'name', 'type', 'flags', 'offset', 'size', 'length', 'align', 'address', 'place', 'kept'];
const SEGMENT = ['name', 'offset', 'size', 'section', 'kept'];
const SPAN = ['name', 'place', 'size', 'section', 'kept', 'code'];
const TYPE = ['number', 'name', 'formula', 'size', 'pcRelative', 'check'];
const STAGE = ['name', 'title', 'function', 'source', 'summary', 'error', 'log', 'writes', 'elsewhere'];

const named = (fields, row) => Object.fromEntries(fields.map((field, i) => [field, row[i]]));

async function inflated(bytes) {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
    return new Response(stream).arrayBuffer();
}

export async function openDocument(headText, packedBytes) {
    const head = JSON.parse(headText);
    const buffer = await inflated(packedBytes);
    const columns = {};
    for (const [name, [kind, start, length]] of Object.entries(head.columns)) {
        const part = buffer.slice(start, start + length);
        if (ARRAYS[kind]) columns[name] = new ARRAYS[kind](part);
        else {
            const text = new TextDecoder().decode(part);
            columns[name] = kind === 'json' ? JSON.parse(text) : text;
        }
    }
    return new ModuleDocument(head, columns);
}

export class ModuleDocument {
    constructor(head, columns) {
        Object.assign(this, head, {columns});
        this.parts = head.parts.map(row => named(PART, row));
        this.sections = head.sections.map(row => named(SECTION, row));
        this.segments = head.segments.map(row => named(SEGMENT, row));
        this.spans = head.spans.map(row => named(SPAN, row));
        this.stages = head.stages.map(row => named(STAGE, row));
        this.types = new Map(Object.entries(head.types).map(([number, row]) => [Number(number), named(TYPE, row)]));
        for (const part of this.parts) part.base = BigInt(part.base);
        for (const section of this.sections) section.address = BigInt(section.address);
        this.memorySize = this.parts.reduce((sum, part) => sum + part.size, 0);
        this.symbolCount = columns.names.length;
        this.relocationCount = columns.relocation_type.length;
        this.file = this.#spread(columns.file);
        this.byPlace = this.#order(i => columns.relocation_place[i]);
        this.byFile = this.#order(i => this.relocationFile(i));
        this.symbolsOf = this.#symbolsBySection();
        this.#countUses();
        // stages from which on the rows of memory are others: it is allocated, given back, an instruction changes
        const {code_since: since, code_until: until} = columns;
        this.epochs = [...new Set([this.moved, this.freed, ...since, ...until])].sort((a, b) => a - b);
    }

    #spread(kept) {
        const file = new Uint8Array(this.fileSize);
        let at = 0;
        for (const segment of this.segments) {
            file.set(kept.subarray(at, at + segment.kept), segment.offset);
            at += segment.kept;
        }
        return file;
    }

    // relocations in the order of a key, without those whose key is negative
    #order(key) {
        const rows = [];
        for (let i = 0; i < this.relocationCount; i++) if (key(i) >= 0) rows.push(i);
        const keys = Float64Array.from({length: this.relocationCount}, (_, i) => key(i));
        rows.sort((a, b) => keys[a] - keys[b] || a - b);
        return {rows: Int32Array.from(rows), keys: Float64Array.from(rows, i => keys[i])};
    }

    // section -> numbers of its symbols that name places, by value, the later ones of equal value first
    #symbolsBySection() {
        const found = new Map();
        for (let i = 0; i < this.symbolCount; i++) {
            const section = this.columns.symbol_section[i];
            if (!section || section >= this.sections.length || !this.columns.names[i]) continue;
            if (!NAMING.has(this.symbolType(i))) continue;
            if (!found.has(section)) found.set(section, []);
            found.get(section).push(i);
        }
        const value = this.columns.symbol_value;
        for (const rows of found.values()) rows.sort((a, b) => Number(value[a] - value[b]) || b - a);
        return found;
    }

    #countUses() {
        this.usesOfSymbol = new Uint32Array(this.symbolCount);
        this.usesOfSection = new Uint32Array(Math.max(1, this.sections.length));
        for (let i = 0; i < this.relocationCount; i++) {
            const symbol = this.columns.relocation_symbol[i];
            if (symbol < this.symbolCount) this.usesOfSymbol[symbol]++;
            this.usesOfSection[this.columns.relocation_section[i]]++;
        }
    }

    symbolType(i) { return this.typeNames[this.columns.symbol_type[i]]; }
    symbolBind(i) { return this.bindNames[this.columns.symbol_bind[i]]; }
    symbolHome(i) { return this.homeNames[this.columns.symbol_home[i]]; }

    type(i) {
        const number = this.columns.relocation_type[i];
        return this.types.get(number);
    }

    sectionName(number) {
        if (number > 0 && number < this.sections.length) return this.sections[number].name;
        return {0: 'UND', 65521: 'ABS', 65522: 'COM'}[number] ?? `section ${number}`;
    }

    // offset in the file of the place a relocation is for, -1: not in the file
    relocationFile(i) {
        const section = this.sections[this.columns.relocation_section[i]];
        const offset = Number(this.columns.relocation_offset[i]);
        return section && section.index && offset < section.length ? section.offset + offset : -1;
    }

    // the relocation whose field holds the place (order: byPlace) or the file's byte (order: byFile); -1: none
    relocationAt(order, at) {
        for (let row = countUpTo(order.keys.length, i => order.keys[i], at) - 1; row >= 0; row--) {
            if (order.keys[row] < at - 7) return -1;
            if (at < order.keys[row] + (this.type(order.rows[row]).size ?? 0)) return order.rows[row];
        }
        return -1;
    }

    // numbers of the relocations whose field begins in [start, end)
    relocationsIn(order, start, end) {
        const first = countUpTo(order.keys.length, i => order.keys[i], start - 1);
        const last = countUpTo(order.keys.length, i => order.keys[i], end - 1);
        return order.rows.subarray(first, last);
    }

    rowOf(rows, field, at) {
        const row = countUpTo(rows.length, i => rows[i][field], at) - 1;
        return row >= 0 && at < rows[row][field] + rows[row].size ? rows[row] : null;
    }

    spanAt(place) { return this.rowOf(this.spans, 'place', place); }
    segmentAt(offset) { return this.rowOf(this.segments, 'offset', offset); }
    partAt(place) { return this.rowOf(this.parts, 'place', place); }

    address(place, shift = 0n) {
        const part = this.partAt(place);
        return part ? BigInt.asUintN(64, part.base + BigInt(place - part.place) + shift) : 0n;
    }

    place(address) {
        for (const part of this.parts) {
            if (part.base <= address && address < part.base + BigInt(part.size)) {
                return part.place + Number(address - part.base);
            }
        }
        return -1;
    }

    // the symbol that holds an offset of a section, the innermost one; -1: none
    symbolAt(section, offset) {
        const rows = this.symbolsOf.get(section) ?? [], {symbol_value: value, symbol_size: size} = this.columns;
        for (let row = countUpTo(rows.length, i => Number(value[rows[i]]), offset) - 1; row >= 0; row--) {
            const start = Number(value[rows[row]]);
            if (start !== offset && offset >= start + Number(size[rows[row]])) continue;
            while (row && Number(value[rows[row - 1]]) === start && this.#holds(rows[row - 1], offset)) {
                if (rows[row - 1] > rows[row]) break;
                row--;
            }
            return this.#firstOf(rows, row, start, offset);
        }
        return -1;
    }

    #holds(symbol, offset) {
        const start = Number(this.columns.symbol_value[symbol]);
        return start === offset || offset < start + Number(this.columns.symbol_size[symbol]);
    }

    // of several with equal value the first in the table that holds the offset
    #firstOf(rows, row, start, offset) {
        let best = rows[row];
        for (let i = row; i >= 0 && Number(this.columns.symbol_value[rows[i]]) === start; i--) {
            if (this.#holds(rows[i], offset) && rows[i] < best) best = rows[i];
        }
        return best;
    }

    placeName(place) {
        const span = this.spanAt(place);
        if (!span || !span.section) return `${span?.name || 'no section'}+0x${(span ? place - span.place : 0).toString(16)}`;
        const offset = place - this.sections[span.section].place, symbol = this.symbolAt(span.section, offset);
        if (symbol < 0) return `${span.name}+0x${offset.toString(16)}`;
        const distance = offset - Number(this.columns.symbol_value[symbol]);
        return this.columns.names[symbol] + (distance ? `+0x${distance.toString(16)}` : '');
    }

    // "r-x": permission of the page at a place once the stage is done (kernel/module/strict_rwx.c)
    permission(place, stage) {
        const part = this.partAt(place), offset = place - part.place;
        if (stage < this.formed) return 'rw-';
        if (offset < part.text) return 'r-x';
        if (offset < part.ro) return 'r--';
        return offset < part.roAfterInit && stage >= this.live ? 'r--' : 'rw-';
    }
}
