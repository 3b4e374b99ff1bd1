/* Runs an exported model "net" on numbers from stdin and writes its outputs to stdout.
 *
 *   predict BATCH STEPS ROWS  whole sequences, ROWS rows of output each
 *   cuts N N N ...            one sequence in blocks of so many steps
 *   place N N N ...           the same, outputs written over the inputs
 *   states COUNT STEPS        COUNT sequences step by step, in turn; then all once more
 *   moved STEPS               one sequence step by step, its state copied to another place each time
 *
 * Inputs, outputs and states end where a page begins that nobody may touch.
 */
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "net.h"

enum { MOST = 1 << 20 };
static float read_in[MOST];

static void *fenced(size_t size)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = (size + page - 1) / page * page;
    char *start = mmap(NULL, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED || mprotect(start + whole, page, PROT_NONE) != 0)
        exit(3);
    memset(start, 0xff, whole); /* whatever was there before */
    return start + whole - size;
}

static net_state *new_state(void) { return fenced(sizeof(net_state)); }

int main(int argc, char **argv)
{
    const char *mode = argv[1];
    const size_t in = net_features(), out = net_outputs();
    const size_t given = fread(read_in, sizeof *read_in, MOST, stdin), all = given / in;
    float *x = fenced(given * sizeof *x), *y = fenced(all * out * sizeof *y);
    memcpy(x, read_in, given * sizeof *x);
    if (argc < 3 || in != net_FEATURES || out != net_OUTPUTS || given % in != 0 ||
        net_state_size() != sizeof(net_state) || net_state_size() != net_STATE_SIZE)
        return 2;
    if (!strcmp(mode, "predict")) {
        const size_t batch = (size_t)atoi(argv[2]), steps = (size_t)atoi(argv[3]);
        const size_t rows = batch * (size_t)atoi(argv[4]);
        y = fenced(rows * out * sizeof *y);
        net_predict(x, batch, steps, y);
        fwrite(y, sizeof *y, rows * out, stdout);
    } else if (!strcmp(mode, "cuts") || !strcmp(mode, "place")) {
        size_t done = 0;
        float *to = !strcmp(mode, "place") ? x : y;
        net_state *state = new_state();
        net_init(state);
        for (int i = 2; i < argc; i++) {
            const size_t steps = (size_t)atoi(argv[i]);
            net_process(state, x + done * in, steps, to + done * out);
            done += steps;
        }
        fwrite(to, sizeof *to, done * out, stdout);
    } else if (!strcmp(mode, "states")) {
        const size_t count = (size_t)atoi(argv[2]), steps = (size_t)atoi(argv[3]);
        net_state *states[8];
        for (size_t i = 0; i < count; i++)
            net_init(states[i] = new_state());
        for (int again = 0; again < 2; again++) {
            for (size_t t = 0; t < steps; t++)
                for (size_t i = 0; i < count; i++)
                    net_step(states[i], x + (i * steps + t) * in, y + (i * steps + t) * out);
            fwrite(y, sizeof *y, count * steps * out, stdout);
            for (size_t i = 0; i < count; i++)
                net_reset(states[i]);
        }
    } else {
        const size_t steps = (size_t)atoi(argv[2]);
        net_state *now = new_state(), *then = new_state(), *other;
        net_init(now);
        for (size_t t = 0; t < steps; t++) {
            net_step(now, x + t * in, y + t * out);
            memcpy(then, now, sizeof *then);
            memset(now, 0xff, sizeof *now);
            other = then, then = now, now = other;
        }
        fwrite(y, sizeof *y, steps * out, stdout);
    }
    return 0;
}
