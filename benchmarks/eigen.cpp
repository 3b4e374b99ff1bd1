// One recurrent layer on Eigen, with sizes known to the compiler: what `benchmarks.eigen` times.
// CELL is 0 (SimpleRNN), 1 (LSTM) or 2 (GRU); weights come in the layout of Keras.
#include <Eigen/Dense>

using Eigen::Map;
using Eigen::Matrix;

constexpr int U = UNITS, F = FEATURES, gates = CELL == 0 ? 1 : CELL == 1 ? 4 : 3;
using Units = Matrix<float, U, 1>;
using Gates = Matrix<float, gates * U, 1>;
template <int rows> using Weights = Matrix<float, rows, gates * U, Eigen::RowMajor>;

static Matrix<float, gates * U, F> kernel;
static Matrix<float, gates * U, U> recurrent;
static Gates bias, state_bias;  // the second one is of a GRU
static Units h, c;

static auto sigmoid(const auto &z) { return 1.0f / (1.0f + (-z.array()).exp()); }

extern "C" void load(const float *w, const float *r, const float *b) {
    kernel = Map<const Weights<F>>(w).transpose();
    recurrent = Map<const Weights<U>>(r).transpose();
    bias = Map<const Gates>(b);
    state_bias.setZero();
    if (CELL == 2) state_bias = Map<const Gates>(b + gates * U);
    h.setZero();
    c.setZero();
}

static void step(const Map<const Matrix<float, F, 1>> &x) {
    Gates z = bias, s = state_bias;
    z.noalias() += kernel * x;
    if constexpr (CELL == 2)
        s.noalias() += recurrent * h;
    else
        z.noalias() += recurrent * h;
    if constexpr (CELL == 0) {
        h = z.array().tanh();
    } else if constexpr (CELL == 1) {
        const auto i = z.template segment<U>(0), f = z.template segment<U>(U);
        const auto g = z.template segment<U>(2 * U), o = z.template segment<U>(3 * U);
        c = (sigmoid(f) * c.array() + sigmoid(i) * g.array().tanh()).eval();
        h = sigmoid(o) * c.array().tanh();
    } else {
        const Matrix<float, 2 * U, 1> a = z.template head<2 * U>() + s.template head<2 * U>();
        const Matrix<float, 2 * U, 1> zr = sigmoid(a);
        const Units n = (z.template tail<U>().array() +
                         zr.template tail<U>().array() * s.template tail<U>().array()).tanh();
        h = (n.array() + zr.template head<U>().array() * (h - n).array()).eval();
    }
}

extern "C" void process(const float *x, float *y, int steps) {
    for (int t = 0; t < steps; ++t) {
        step(Map<const Matrix<float, F, 1>>(x + t * F));
        Map<Units>(y + t * U) = h;
    }
}
