#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Write a partition table to a device or file.

usage: partition_table.py FILE gpt|mbr [NUMBER,START,SIZE,TYPE[,LABEL]]...

START and SIZE in KiB. TYPE: for a GPT a UUID, for an MBR a number. In an MBR, partitions from number
5 on are logical, in order; the extended partition, of a type like 5, is given as well. Numbers that
are not given are empty entries. The table is not checked: it may be a bad one."""
import struct
import sys
import uuid
import zlib

ENTRIES = 128
SECTOR = 512


def gpt(disk, size, parts):
    last = size // SECTOR - 1
    table_sectors = ENTRIES * 128 // SECTOR
    entries = bytearray(ENTRIES * 128)
    for number, start, length, kind, label in parts:
        struct.pack_into("<16s16sQQQ72s", entries, (number - 1) * 128, uuid.UUID(kind).bytes_le,
                         uuid.UUID(int=number).bytes_le, start, start + length - 1, 0,
                         label.encode("utf-16-le"))
    for here, other, place in ((1, last, 2), (last, 1, last - table_sectors)):
        header = struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, 0, 0, here, other,
                             2 + table_sectors, last - table_sectors - 1, bytes(range(16)), place,
                             ENTRIES, 128, zlib.crc32(entries))
        header = header[:16] + struct.pack("<I", zlib.crc32(header)) + header[20:]
        disk.seek(here * SECTOR)
        disk.write(header)
        disk.seek(place * SECTOR)
        disk.write(entries)
    mbr(disk, size, [(1, 1, min(last, 0xffffffff), 0xee, "")])


def boot_sector(disk, at, entries):
    disk.seek(at * SECTOR + 446)
    for kind, start, length in (entries + [(0, 0, 0)] * 4)[:4]:
        disk.write(struct.pack("<B3sB3sII", 0, b"", kind, b"", start, length))
    disk.write(b"\x55\xaa")


def mbr(disk, size, parts):
    primary = [(0, 0, 0)] * 4
    for number, start, length, kind, _ in parts:
        if number <= 4:
            primary[number - 1] = (int(str(kind), 0), start, length)
    boot_sector(disk, 0, primary)
    extended = next((start for kind, start, _ in primary if kind in (0x5, 0xf, 0x85)), 0)
    logical = [part for part in parts if part[0] >= 5]
    # Each logical partition has a sector with its entry, just before it, and the first one is
    # where the extended partition begins.
    places = [extended] + [part[1] - 1 for part in logical[1:]]
    for i, (_, start, length, kind, _) in enumerate(logical):
        entries = [(int(kind, 0), start - places[i], length)]
        if i + 1 < len(logical):
            entries.append((5, places[i + 1] - extended, logical[i + 1][2] + 1))
        boot_sector(disk, places[i], entries)


def main(path, kind, *rest):
    parts = []
    for text in rest:
        number, start, length, type_, *label = text.split(",")
        parts.append((int(number), int(start) * 1024 // SECTOR, int(length) * 1024 // SECTOR, type_,
                      "".join(label)))
    with open(path, "r+b") as disk:
        size = disk.seek(0, 2)
        {"gpt": gpt, "mbr": mbr}[kind](disk, size, parts)


main(*sys.argv[1:])
