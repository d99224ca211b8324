// SPDX-License-Identifier: GPL-2.0-only
// S + A - P once more, for a module that lies elsewhere. The table of types comes from Python (arch/x86_64.py).

import {littleEndian, unsigned} from './numbers.js';

const FIELD = 4; // bytes from a PC-relative field to its instruction's end where no disassembly tells
const HALF = 2 ** 31;

export class Relocator {
    constructor(doc) {
        this.doc = doc;
        this.#prepare();
    }

    // what is in one of the module's loaded sections moves along with it
    moves(symbol) {
        const section = this.doc.columns.symbol_section[symbol];
        return section > 0 && section < this.doc.sections.length && this.doc.sections[section].address !== 0n;
    }

    addressOf(symbol, shift) {
        return unsigned(this.doc.columns.symbol_address[symbol] + (this.moves(symbol) ? shift : 0n));
    }

    known(i) {
        const {relocation_symbol: symbol, relocation_place: place, relocation_known: known, symbol_known} = this.doc.columns;
        return place[i] >= 0 && known[i] > 0 && symbol[i] < this.doc.symbolCount && symbol_known[symbol[i]] > 0;
    }

    // S, A, P and what comes out; null where the loader never gets to apply it
    numbers(i, shift = 0n) {
        if (!this.known(i)) return null;
        const columns = this.doc.columns, type = this.doc.type(i);
        if (type.size === null) return null;
        const S = this.addressOf(columns.relocation_symbol[i], shift), A = columns.relocation_addend[i];
        const P = this.doc.address(columns.relocation_place[i], shift);
        const value = unsigned(S + A - (type.pcRelative ? P : 0n));
        return {S, A, P, value, bytes: littleEndian(value, type.size), type};
    }

    fits(type, value) {
        if (type.check === 'unsigned') return value === BigInt.asUintN(32, value);
        if (type.check === 'signed') return value === unsigned(BigInt.asIntN(32, value));
        return true;
    }

    reaches(type, value) {
        return !type.pcRelative || type.size !== 4 || value === unsigned(BigInt.asIntN(32, value));
    }

    // bytes from a field to the end of its instruction; 0 in data
    behind(place) {
        const span = this.doc.spanAt(place);
        if (!span || !span.code) return 0;
        const row = this.instructionAt(place, this.doc.relocated);
        if (row < 0) return FIELD;
        return this.doc.columns.code_place[row] + this.doc.columns.code_length[row] - place;
    }

    // number of the instruction that holds a place at a stage, -1: none
    instructionAt(place, stage) {
        const {code_place: start, code_length: length, code_since: since, code_until: until} = this.doc.columns;
        let low = 0, high = start.length;
        while (low < high) {
            const middle = (low + high) >> 1;
            if (start[middle] <= place) low = middle + 1;
            else high = middle;
        }
        for (let row = low - 1; row >= 0 && start[row] > place - 15; row--) {
            if (since[row] <= stage && stage < until[row] && start[row] + length[row] > place) return row;
        }
        return -1;
    }

    // where it leads: {place} in this module, else {address}; and its name
    target(i, shift = 0n) {
        const numbers = this.numbers(i, shift), symbol = this.doc.columns.relocation_symbol[i];
        if (!numbers || !numbers.type.size) return null;
        const place = this.doc.columns.relocation_place[i];
        const distance = numbers.A + BigInt(numbers.type.pcRelative ? this.behind(place) : 0);
        const address = unsigned(numbers.S + distance);
        const inside = this.doc.symbolHome(symbol) === 'this module' ? this.doc.place(unsigned(address - shift)) : -1;
        if (inside >= 0) return {place: inside, address, name: this.doc.placeName(inside)};
        const sign = distance < 0n ? '-' : '+', far = (distance < 0n ? -distance : distance).toString(16);
        return {place: -1, address, name: this.doc.columns.names[symbol] + (distance ? `${sign}0x${far}` : '')};
    }

    // values that change with the base, as signed numbers: what the slider looks through
    #prepare() {
        this.checked = [];
        this.far = [];
        for (let i = 0; i < this.doc.relocationCount; i++) {
            const numbers = this.numbers(i), moves = numbers && this.moves(this.doc.columns.relocation_symbol[i]);
            if (!numbers) continue;
            const value = Number(BigInt.asIntN(64, numbers.value));
            if (numbers.type.check && moves) this.checked.push({i, value, signed: numbers.type.check === 'signed'});
            if (numbers.type.pcRelative && numbers.type.size === 4 && !moves) this.far.push({i, value});
        }
    }

    // {first: the entry at which the kernel would stop or -1, wide: fields that do not reach and are not checked}
    judge(shift) {
        const by = Number(shift);
        const bad = this.checked.find(({value, signed}) => signed ? value + by < -HALF || value + by >= HALF
            : value + by < 0 || value + by >= 2 * HALF);
        const wide = this.far.reduce((sum, {value}) => sum + (value - by < -HALF || value - by >= HALF), 0);
        return {first: bad ? bad.i : -1, wide, checked: this.checked.length, far: this.far.length};
    }
}
