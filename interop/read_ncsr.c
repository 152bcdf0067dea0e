/* Reads a .ncsr file and prints the dense weights of each of its nested layers at each level that the file holds.
 *
 * Written from docs/format.md alone, to show that the text suffices; numbers in comments are its sections. Plain C99, no
 * library. It checks what it relies on and stops with a message, but is no full validator. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const uint8_t *bytes;
    size_t length;
} Span;

typedef struct {
    uint32_t rows, columns, blocks_in_row;
    int width; /* weights of a block: 1 or 2 */
    uint8_t *ring; /* of each block, 0 while free */
    int8_t *weights; /* dense, of the level that was read last */
} Layer;

static void fail(const char *what) {
    fprintf(stderr, "read_ncsr: %s\n", what);
    exit(1);
}

static void need(int holds, const char *what) {
    if (!holds) fail(what);
}

static uint32_t u8_at(Span s, size_t at) {
    need(at < s.length, "a field lies past the end of its part");
    return s.bytes[at];
}

static uint32_t u16_at(Span s, size_t at) { return u8_at(s, at) | u8_at(s, at + 1) << 8; }

static uint32_t u32_at(Span s, size_t at) { return u16_at(s, at) | u16_at(s, at + 2) << 16; }

static Span part(Span s, size_t start, size_t length) {
    need(start <= s.length && length <= s.length - start, "a part lies past the end of the file");
    Span cut = {s.bytes + start, length};
    return cut;
}

static uint32_t crc32(Span s) {
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < s.length; i++) {
        crc ^= s.bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

/* 2.2 */
static Layer layer_at(Span body, size_t at) {
    Layer layer = {u32_at(body, at), u32_at(body, at + 4), 0, 1 + (int)u8_at(body, at + 8), NULL, NULL};
    need(layer.rows && layer.columns && layer.width <= 2, "a layer's shape is wrong");
    need((uint64_t)layer.rows * layer.columns < 1ull << 31, "a layer is too large");
    layer.blocks_in_row = (layer.columns + layer.width - 1) / layer.width;
    layer.ring = calloc((size_t)layer.rows * layer.blocks_in_row, 1);
    layer.weights = calloc((size_t)layer.rows * layer.columns, 1);
    need(layer.ring && layer.weights, "out of memory");
    return layer;
}

static void take(Layer *layer, uint64_t position, int level) {
    need(position < (uint64_t)layer->rows * layer->blocks_in_row, "a block lies past the last row");
    need(layer->ring[position] == 0, "a block is in two rings");
    layer->ring[position] = (uint8_t)level;
}

/* 3, code 0 */
static void read_bytes(Layer *layer, int level, Span stream, uint32_t count_width) {
    size_t at = (size_t)layer->rows * count_width;
    for (uint32_t row = 0; row < layer->rows; row++) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < count_width; i++) count |= u8_at(stream, row * (size_t)count_width + i) << 8 * i;
        uint64_t next = 0;
        while (count--) {
            uint32_t byte;
            do next += byte = u8_at(stream, at++);
            while (byte == 255);
            need(next < layer->blocks_in_row, "a block lies past the end of its row");
            take(layer, (uint64_t)row * layer->blocks_in_row + next++, level);
        }
    }
    need(at == stream.length, "an index stream is too long");
}

static uint32_t bits(Span stream, uint64_t *at, int count) {
    uint32_t value = 0;
    for (int i = 0; i < count; i++, ++*at) value |= (u8_at(stream, *at / 8) >> *at % 8 & 1) << i;
    return value;
}

/* 3, code 1: a nibble is 4 bits, lowest first */
static uint64_t nibble_gap(Span stream, uint64_t *at) {
    uint64_t gap = 0;
    uint32_t nibble;
    do gap += nibble = bits(stream, at, 4);
    while (nibble == 15);
    return gap;
}

/* 3, code 2 */
static uint64_t golomb_gap(Span stream, uint64_t *at, uint32_t modulus) {
    uint64_t quotient = 0;
    while (bits(stream, at, 1) == 0) quotient++;
    if (modulus == 1) return quotient;
    int b = 0;
    while (1u << b < modulus) b++;
    uint32_t t = (1u << b) - modulus, x = bits(stream, at, b - 1);
    return quotient * modulus + (x < t ? x : 2 * x + bits(stream, at, 1) - t);
}

/* 3, codes 1 to 3. The positions of code 3 are the blocks that inner rings left free. */
static void read_gaps(Layer *layer, int level, Span stream, uint32_t count, uint32_t code, uint32_t modulus) {
    uint64_t bit = 0, position = 0, all = (uint64_t)layer->rows * layer->blocks_in_row;
    while (count--) {
        uint64_t gap = code == 1 ? nibble_gap(stream, &bit) : golomb_gap(stream, &bit, modulus);
        if (code == 3) {
            for (;; position++) {
                need(position < all, "a block lies past the last row");
                if (layer->ring[position] == 0 && gap-- == 0) break;
            }
        } else {
            position += gap;
        }
        take(layer, position++, level);
    }
    need((bit + 7) / 8 == stream.length, "an index stream is too long");
}

/* 2.3: adds ring `level` to the layer's dense weights; returns where the ring's data ends in the section */
static size_t read_ring(Layer *layer, int level, Span section, size_t record, size_t start) {
    size_t end = u32_at(section, record), blocks = u32_at(section, record + 4), weights = u32_at(section, record + 8);
    uint32_t code = u8_at(section, record + 12), parameter = u16_at(section, record + 14);
    need(start <= end && weights <= end - start, "a ring's data has a negative length");
    Span stream = part(section, start, end - start - weights), values = part(section, end - weights, weights);
    if (code == 0) read_bytes(layer, level, stream, parameter);
    else if (code <= 3 && (code == 1 || parameter)) read_gaps(layer, level, stream, (uint32_t)blocks, code, parameter);
    else fail("an index code is unknown");

    size_t next = 0;
    for (uint32_t row = 0; row < layer->rows; row++)
        for (uint32_t column = 0; column < layer->columns; column++)
            if (layer->ring[(size_t)row * layer->blocks_in_row + column / layer->width] == level)
                layer->weights[(size_t)row * layer->columns + column] = (int8_t)u8_at(values, next++);
    need(next == weights, "the weights of a ring do not match its blocks");
    return end;
}

static void print(const Layer *layer, uint32_t number, int level) {
    printf("layer %u level %d\n", number, level);
    for (uint32_t row = 0; row < layer->rows; row++)
        for (uint32_t column = 0; column < layer->columns; column++)
            printf("%d%c", layer->weights[(size_t)row * layer->columns + column], column + 1 < layer->columns ? ' ' : '\n');
}

static Span read_file(const char *name) {
    FILE *file = fopen(name, "rb");
    need(file != NULL, "the file cannot be opened");
    uint8_t *bytes = NULL;
    size_t length = 0, got;
    do {
        bytes = realloc(bytes, length + 65536);
        need(bytes != NULL, "out of memory");
        length += got = fread(bytes + length, 1, 65536, file);
    } while (got);
    fclose(file);
    Span all = {bytes, length};
    return all;
}

int main(int arguments, char **argument) {
    need(arguments == 2, "usage: read_ncsr FILE");
    Span file = read_file(argument[1]);

    /* 2.1 */
    need(file.length >= 4 && memcmp(file.bytes, "NCSR", 4) == 0, "this is no .ncsr file");
    need(u16_at(file, 4) == 1, "the version is not 1");
    uint32_t kind = u8_at(file, 6), levels = u8_at(file, 7);
    need(kind <= 2 && levels >= 1 && levels <= 8, "the kind or the number of levels is wrong");
    size_t header = 20 + 8 * (size_t)levels;
    need(crc32(part(file, 0, header - 4)) == u32_at(file, header - 4), "the header's checksum is wrong");
    Span body = part(file, header, u32_at(file, 8));
    need(crc32(body) == u32_at(file, 12), "the body's checksum is wrong");

    /* 4, 5 and 6.1: where shapes and ring records lie */
    uint32_t layers = kind == 0 ? 1 : kind == 1 ? u32_at(body, 0) : u16_at(body, 0);
    size_t shapes = kind == 0 ? 0 : kind == 1 ? 8 : 24, step = kind == 1 ? 16 : 12, records = kind == 2 ? 4 : 0;
    size_t between = kind == 2 ? 16 * (size_t)u16_at(body, 2) : 0;
    need(layers <= body.length / 12, "there are more layers than the body can hold");
    Layer *layer = calloc(layers + 1, sizeof *layer);
    need(layer != NULL, "out of memory");
    for (uint32_t i = 0; i < layers; i++) layer[i] = layer_at(body, shapes + step * i);

    size_t at = header + body.length;
    int level = 0;
    while (at < file.length) {
        need(level < (int)levels, "bytes lie behind the last section");
        Span section = part(file, at, u32_at(file, 16 + 8 * (size_t)level));
        need(crc32(section) == u32_at(file, 20 + 8 * (size_t)level), "a section's checksum is wrong");
        level++;
        size_t end = records + 16 * (size_t)layers + between;
        for (uint32_t i = 0; i < layers; i++) {
            end = read_ring(&layer[i], level, section, records + 16 * (size_t)i, end);
            print(&layer[i], i, level);
        }
        at += section.length;
    }
    need(level > 0, "the file holds no level");
    return 0;
}
