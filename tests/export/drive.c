/* Runs an exported model "net" on numbers from stdin and writes its outputs to stdout.
 *
 *   predict BATCH STEPS       whole sequences
 *   cuts N N N ...            one sequence in blocks of so many steps
 *   place N N N ...           the same, outputs written over the inputs
 *   states COUNT STEPS        COUNT sequences step by step, in turn; then all once more
 *   moved STEPS               one sequence step by step, its state copied to another place each time
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"

static float x[1 << 20], y[1 << 20];
static net_state states[8], elsewhere;

static void show(size_t count) { fwrite(y, sizeof *y, count, stdout); }

int main(int argc, char **argv)
{
    const char *mode = argv[1];
    const size_t in = net_features(), out = net_outputs();
    size_t given = fread(x, sizeof *x, sizeof x / sizeof *x, stdin);
    if (argc < 3 || in != net_FEATURES || out != net_OUTPUTS || given % in != 0 ||
        net_state_size() != sizeof(net_state) || net_state_size() != net_STATE_SIZE)
        return 2;
    memset(states, 0xff, sizeof states); /* whatever was there before */
    if (!strcmp(mode, "predict")) {
        const size_t batch = (size_t)atoi(argv[2]), steps = (size_t)atoi(argv[3]);
        net_predict(x, batch, steps, y);
        show(batch * steps * out);
    } else if (!strcmp(mode, "cuts") || !strcmp(mode, "place")) {
        size_t done = 0;
        float *to = !strcmp(mode, "place") ? x : y;
        net_init(&states[0]);
        for (int i = 2; i < argc; i++) {
            const size_t steps = (size_t)atoi(argv[i]);
            net_process(&states[0], x + done * in, steps, to + done * out);
            done += steps;
        }
        if (to == x)
            memcpy(y, x, done * out * sizeof *y);
        show(done * out);
    } else if (!strcmp(mode, "states")) {
        const size_t count = (size_t)atoi(argv[2]), steps = (size_t)atoi(argv[3]);
        for (size_t i = 0; i < count; i++)
            net_init(&states[i]);
        for (int again = 0; again < 2; again++) {
            for (size_t t = 0; t < steps; t++)
                for (size_t i = 0; i < count; i++)
                    net_step(&states[i], x + (i * steps + t) * in, y + (i * steps + t) * out);
            show(count * steps * out);
            for (size_t i = 0; i < count; i++)
                net_reset(&states[i]);
        }
    } else {
        const size_t steps = (size_t)atoi(argv[2]);
        net_state *now = &states[0], *then = &elsewhere;
        net_init(now);
        for (size_t t = 0; t < steps; t++) {
            net_state *other = then;
            net_step(now, x + t * in, y + t * out);
            memcpy(other, now, sizeof *other);
            memset(now, 0xff, sizeof *now);
            then = now, now = other;
        }
        show(steps * out);
    }
    return 0;
}
