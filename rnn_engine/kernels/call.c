/* The way from Python to the kernels of a library.

A kernel is entered with one table of words: a word for the result, then its arguments as
Numba lays them out, a word each of a number and, of an array, two words that are zero, its size,
the bytes of an item, the address, the shape and the strides. Which of its variants that is, is
chosen by the arguments. */

#define Py_LIMITED_API 0x030B0000
#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define NPY_TARGET_VERSION NPY_2_0_API_VERSION
#include <Python.h>
#include <dlfcn.h>
#include <numpy/arrayobject.h>
#include <stdint.h>
#include <string.h>

/* By the names that older C libraries know, too: the newer ones would be all that this asks of
glibc 2.34, where the kernels do with 2.29. */
#if defined(__GLIBC__) && defined(__x86_64__)
#define OLD "GLIBC_2.2.5"
#elif defined(__GLIBC__) && defined(__aarch64__)
#define OLD "GLIBC_2.17"
#endif
#ifdef OLD
__asm__(".symver dlopen, dlopen@" OLD);
__asm__(".symver dlsym, dlsym@" OLD);
__asm__(".symver dlerror, dlerror@" OLD);
#endif

#define MOST_PARAMETERS 24
#define MOST_AXES 8
#define WORDS (1 + MOST_PARAMETERS * (5 + 2 * MOST_AXES))

/* An array of a kind of numbers ('f', 'i', 'u', 'b') of some bytes, or one number, of no axes. */
typedef struct {
    char kind, bytes, axes, strided, readonly, scalar;
} Parameter;

typedef struct {
    int (*enter)(int64_t *words);
    int count;
    char result;
    Parameter parameters[MOST_PARAMETERS];
} Variant;

typedef struct {
    PyMethodDef method;
    const char *name;
    Py_ssize_t count;
    Variant variants[];
} Kernel;

static void *library;

/* Put a number into a word; return 0 if it is of another kind. */
static int put_number(const Parameter *parameter, PyObject *value, int64_t *word) {
    if (parameter->kind == 'b') {
        if (!PyBool_Check(value) && !PyArray_IsScalar(value, Bool)) return 0;
        *word = PyObject_IsTrue(value);
        return 1;
    }
    if (parameter->kind == 'f') {
        if (!PyFloat_Check(value) && !PyLong_Check(value) && !PyArray_IsScalar(value, Floating))
            return 0;
        double number = PyFloat_AsDouble(value);
        if (number == -1 && PyErr_Occurred()) return 0;
        float rounded = (float)number;
        *word = 0;
        if (parameter->bytes == 4) memcpy(word, &rounded, sizeof rounded);
        else memcpy(word, &number, sizeof number);
        return 1;
    }
    if (!PyLong_Check(value) && !PyArray_IsScalar(value, Integer)) return 0;
    PyObject *whole = PyNumber_Index(value);
    if (!whole) return 0;
    *word = parameter->kind == 'u' ? (int64_t)PyLong_AsUnsignedLongLong(whole)
                                   : (int64_t)PyLong_AsLongLong(whole);
    Py_DECREF(whole);
    if (parameter->kind == 'u' && parameter->bytes == 4 && *word >> 32) return 0;
    return !PyErr_Occurred();
}

/* Put an array into words; return how many those are, or 0 if it is of another kind. */
static int put_array(const Parameter *parameter, PyObject *value, int64_t *words) {
    if (!PyArray_Check(value)) return 0;
    PyArrayObject *array = (PyArrayObject *)value;
    int axes = PyArray_NDIM(array), flags = PyArray_FLAGS(array);
    if (axes != parameter->axes || PyArray_DESCR(array)->kind != parameter->kind ||
        PyArray_ITEMSIZE(array) != parameter->bytes || !PyArray_ISNOTSWAPPED(array) ||
        !(flags & NPY_ARRAY_ALIGNED) || (!parameter->strided && !(flags & NPY_ARRAY_C_CONTIGUOUS)) ||
        (!parameter->readonly && !(flags & NPY_ARRAY_WRITEABLE) && PyArray_SIZE(array)))
        return 0;
    int64_t size = 1;
    for (int i = 0; i < axes; i++) {
        size *= words[5 + i] = PyArray_DIM(array, i);
        words[5 + axes + i] = PyArray_STRIDE(array, i);
    }
    words[0] = words[1] = 0;
    words[2] = size;
    words[3] = parameter->bytes;
    words[4] = (int64_t)(intptr_t)PyArray_DATA(array);
    return 5 + 2 * axes;
}

/* Put all arguments into words; return whether the variant takes them. */
static int put_all(const Variant *variant, PyObject *const *values, int64_t *words) {
    for (int i = 0; i < variant->count; i++) {
        const Parameter *parameter = &variant->parameters[i];
        int put = parameter->scalar ? put_number(parameter, values[i], words)
                                    : put_array(parameter, values[i], words);
        if (!put) return 0;
        words += put;
    }
    return 1;
}

/* Say what was given, as the list of exports writes it. */
static PyObject *refuse(const Kernel *kernel, PyObject *const *values, Py_ssize_t count) {
    PyObject *text = PyUnicode_FromString("");
    for (Py_ssize_t i = 0; i < count && text; i++) {
        PyObject *more;
        if (PyArray_Check(values[i])) {
            PyArrayObject *array = (PyArrayObject *)values[i];
            int flags = PyArray_FLAGS(array);
            more = PyUnicode_FromFormat(
                " %c%d[%d]%s%s", PyArray_DESCR(array)->kind, (int)PyArray_ITEMSIZE(array),
                PyArray_NDIM(array), flags & NPY_ARRAY_C_CONTIGUOUS ? "" : "*",
                flags & NPY_ARRAY_WRITEABLE ? "" : "r");
        } else {
            PyObject *name = PyType_GetName(Py_TYPE(values[i]));
            more = name ? PyUnicode_FromFormat(" %U", name) : NULL;
            Py_XDECREF(name);
        }
        PyObject *joined = more ? PyUnicode_Concat(text, more) : NULL;
        Py_XDECREF(more);
        Py_DECREF(text);
        text = joined;
    }
    if (text) PyErr_Format(PyExc_TypeError, "the library of kernels has no %s for%U", kernel->name, text);
    Py_XDECREF(text);
    return NULL;
}

static PyObject *call(PyObject *self, PyObject *const *values, Py_ssize_t count) {
    const Kernel *kernel = PyLong_AsVoidPtr(self);
    if (!kernel) return NULL;
    int64_t words[WORDS];
    for (Py_ssize_t i = 0; i < kernel->count; i++) {
        const Variant *variant = &kernel->variants[i];
        if (variant->count != count || !put_all(variant, values, words + 1)) {
            /* A number that is too large is refused as what is of another kind. */
            if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_OverflowError)) return NULL;
            PyErr_Clear();
            continue;
        }
        PyThreadState *state = PyEval_SaveThread();
        int status = variant->enter(words);
        PyEval_RestoreThread(state);
        if (status != 0 && status != -2) { /* what Numba has for None */
            PyErr_Format(PyExc_RuntimeError, "kernel %s failed", kernel->name);
            return NULL;
        }
        double number;
        switch (variant->result) {
            case 'i': return PyLong_FromLongLong(words[0]);
            case 'b': return PyBool_FromLong(words[0] & 1);
            case 'f': memcpy(&number, words, sizeof number); return PyFloat_FromDouble(number);
            default: Py_RETURN_NONE;
        }
    }
    return refuse(kernel, values, count);
}

static void *find(const char *name) {
    void *found = library ? dlsym(library, name) : NULL;
    if (!found) PyErr_Format(PyExc_LookupError, "the library of kernels lacks %s", name);
    return found;
}

/* Read parameters of six letters each: kind, bytes, axes, strided, readonly, scalar. */
static int read_parameters(Variant *variant, PyObject *text) {
    Py_ssize_t size;
    const char *letters = PyUnicode_AsUTF8AndSize(text, &size);
    if (!letters) return 0;
    variant->count = (int)(size / 6);
    if (size % 6 || variant->count > MOST_PARAMETERS) {
        PyErr_SetString(PyExc_ValueError, "parameters of a kernel that cannot be read");
        return 0;
    }
    for (int i = 0; i < variant->count; i++, letters += 6) {
        Parameter made = {letters[0], letters[1] - '0', letters[2] - '0',
                          letters[3] == '*', letters[4] == 'r', letters[5] == '.'};
        if (made.axes < 0 || made.axes > MOST_AXES) {
            PyErr_SetString(PyExc_ValueError, "parameters of a kernel that cannot be read");
            return 0;
        }
        variant->parameters[i] = made;
    }
    return 1;
}

/* Return the address of a new kernel. */
static PyObject *kernel(PyObject *module, PyObject *args) {
    const char *name;
    PyObject *variants;
    if (!PyArg_ParseTuple(args, "sO:kernel", &name, &variants)) return NULL;
    Py_ssize_t count = PySequence_Size(variants);
    if (count < 0) return NULL;
    /* Kernels live as long as the process. */
    Kernel *made = PyMem_Calloc(1, sizeof(Kernel) + count * sizeof(Variant));
    char *kept = made ? PyMem_Malloc(strlen(name) + 1) : NULL;
    if (!kept) return PyErr_NoMemory();
    made->name = strcpy(kept, name);
    made->count = count;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *row = PySequence_GetItem(variants, i), *tuple = row ? PySequence_Tuple(row) : NULL;
        const char *symbol = NULL, *result = NULL;
        PyObject *parameters = NULL;
        int good = tuple && PyArg_ParseTuple(tuple, "sUs", &symbol, &parameters, &result) &&
                   read_parameters(&made->variants[i], parameters);
        if (good) {
            made->variants[i].result = result[0];
            made->variants[i].enter = (int (*)(int64_t *))find(symbol);
            good = made->variants[i].enter != NULL;
        }
        Py_XDECREF(tuple);
        Py_XDECREF(row);
        if (!good) return NULL;
    }
    made->method = (PyMethodDef){kept, (PyCFunction)(void (*)(void))call, METH_FASTCALL, NULL};
    return PyLong_FromVoidPtr(made);
}

/* Return the function that calls a kernel. What holds its address is an int of a class that
knows how to be pickled: a function is, by its name and by what it belongs to. */
static PyObject *function(PyObject *module, PyObject *holder) {
    Kernel *found = PyLong_AsVoidPtr(holder);
    return found ? PyCFunction_New(&found->method, holder) : NULL;
}

static PyObject *open_library(PyObject *module, PyObject *args) {
    const char *path;
    if (!PyArg_ParseTuple(args, "s:open", &path)) return NULL;
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) return PyErr_Format(PyExc_ImportError, "%s", dlerror());
    Py_RETURN_NONE;
}

static PyObject *address(PyObject *module, PyObject *args) {
    const char *name;
    if (!PyArg_ParseTuple(args, "s:address", &name)) return NULL;
    void *found = find(name);
    return found ? PyLong_FromVoidPtr(found) : NULL;
}

/* The levels of `library.LEVELS` that this CPU, and its system, can run, the best first. */
static PyObject *levels(PyObject *module, PyObject *none) {
#if defined(__aarch64__)
    return Py_BuildValue("[s]", "neon");
#else
    __builtin_cpu_init();
    int avx2 = __builtin_cpu_supports("x86-64-v3"), avx512 = __builtin_cpu_supports("x86-64-v4");
    if (avx512) return Py_BuildValue("[sss]", "avx512", "avx2", "sse");
    return avx2 ? Py_BuildValue("[ss]", "avx2", "sse") : Py_BuildValue("[s]", "sse");
#endif
}

static PyMethodDef methods[] = {
    {"open", open_library, METH_VARARGS, NULL},
    {"address", address, METH_VARARGS, NULL},
    {"kernel", kernel, METH_VARARGS, NULL},
    {"function", function, METH_O, NULL},
    {"levels", levels, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_call", NULL, -1, methods};

PyMODINIT_FUNC PyInit__call(void) {
    import_array();
    return PyModule_Create(&definition);
}
