/* A sound effect in C: reads a WAV file of one channel, 16 bits a sample, runs it through a model
 * in blocks of 64 samples, as a sound card would hand them over, and writes a WAV file.
 *
 * The model is exported as "effect", from one input to one output a sample:
 *
 *     model = Sequential([Input((None, 1)), GRU(20, return_sequences=True), Dense(1)])
 *     model.export("effect", format="c")
 *
 *     cc -O2 -Ieffect effect.c effect/libeffect.a -o run
 *     ./run in.wav out.wav
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "effect.h"

enum { BLOCK = 64, HEADER = 44 };

static uint32_t number(const unsigned char *at, int bytes)
{
    uint32_t value = 0;
    while (bytes-- > 0)
        value = value << 8 | at[bytes];
    return value;
}

static int16_t rounded(float y)
{
    const float scaled = 32768.0f * y;
    if (scaled >= 32767.0f)
        return 32767;
    if (scaled <= -32768.0f)
        return -32768;
    return (int16_t)(scaled < 0.0f ? scaled - 0.5f : scaled + 0.5f);
}

int main(int argc, char **argv)
{
    unsigned char header[HEADER], bytes[2 * BLOCK];
    float x[BLOCK], y[BLOCK];
    effect_state state;
    FILE *in = argc == 3 ? fopen(argv[1], "rb") : NULL;
    if (in == NULL || fread(header, 1, HEADER, in) != HEADER || memcmp(header, "RIFF", 4) != 0 ||
        memcmp(header + 8, "WAVEfmt ", 8) != 0 || memcmp(header + 36, "data", 4) != 0 ||
        number(header + 20, 2) != 1 || number(header + 22, 2) != 1 ||
        number(header + 34, 2) != 16 || effect_FEATURES != 1 || effect_OUTPUTS != 1) {
        fprintf(stderr, "usage: run IN.wav OUT.wav (one channel of 16 bits)\n");
        return 1;
    }
    FILE *out = fopen(argv[2], "wb");
    if (out == NULL || fwrite(header, 1, HEADER, out) != HEADER)
        return 1;
    effect_init(&state);
    size_t left = number(header + 40, 4) / 2;
    while (left > 0) {
        const size_t count = fread(bytes, 2, left < BLOCK ? left : BLOCK, in);
        if (count == 0)
            break;
        for (size_t i = 0; i < count; i++)
            x[i] = (float)(int16_t)number(bytes + 2 * i, 2) / 32768.0f;
        effect_process(&state, x, count, y);
        for (size_t i = 0; i < count; i++) {
            const uint16_t sample = (uint16_t)rounded(y[i]);
            bytes[2 * i] = (unsigned char)(sample & 0xff);
            bytes[2 * i + 1] = (unsigned char)(sample >> 8);
        }
        if (fwrite(bytes, 2, count, out) != count)
            return 1;
        left -= count;
    }
    fclose(in);
    return fclose(out) != 0;
}
