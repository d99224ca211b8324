// SPDX-License-Identifier: GPL-2.0-only
// Numbers as the kernel writes them. Addresses are BigInt, places and offsets are Number.

export const unsigned = number => BigInt.asUintN(64, number);

export const hex = number => number < 0 ? `-0x${(-number).toString(16)}` : `0x${number.toString(16)}`;

const TWO = Array.from({length: 256}, (_, number) => number.toString(16).padStart(2, '0'));

export const hexByte = number => TWO[number];

// "e8 00 00": the low `size` bytes of a BigInt as they lie in memory
export function littleEndian(value, size) {
    const bytes = new Uint8Array(size);
    for (let i = 0, rest = unsigned(value); i < size; i++, rest >>= 8n) bytes[i] = Number(rest & 255n);
    return bytes;
}

export const bytesInWords = bytes => Array.from(bytes, hexByte).join(' ') || 'nothing';

let ids = 0;

// a new id for an element; several explorers may stand in one page
export const newId = () => `kx${++ids}`;

const SIGNS = {'&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;'};

export const escapeHtml = text => String(text).replace(/[&<>"']/g, sign => SIGNS[sign]);

export const grouped = number => number.toString().replace(/\B(?=(\d{3})+$)/g, ',');

// how many of `count` sorted values, given by a function, are <= wanted
export function countUpTo(count, value, wanted) {
    let low = 0, high = count;
    while (low < high) {
        const middle = (low + high) >> 1;
        if (value(middle) <= wanted) low = middle + 1;
        else high = middle;
    }
    return low;
}
