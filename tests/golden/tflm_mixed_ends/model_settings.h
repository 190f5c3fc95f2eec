// toy_0.25_16: sizes, quantization and labels. Written by edgekit 0.1.0.
#ifndef EDGEKIT_MODEL_SETTINGS_H_
#define EDGEKIT_MODEL_SETTINGS_H_

#include <stdint.h>

// Predicted for Arduino Nano 33 BLE with TFLM's cmsis-nn kernels: 80 bytes of
// activations and scratch, the rest for the interpreter's structures. Other kernel libraries may
// need more; main prints what is used.
constexpr int kArenaBytes = 1520;

// Input 0, real: float32 (1, 12).
constexpr int kInput0Elements = 12;

// Input 1, integer: int8 (3, 4), real value = scale * (value - zero point).
constexpr int kInput1Elements = 12;
constexpr float kInput1Scale = 0.019999999552965164f;
constexpr int kInput1ZeroPoint = 0;

// Output 0, classes: int8 (1, 3), real value = scale * (value - zero point).
constexpr int kOutput0Elements = 3;
constexpr float kOutput0Scale = 0.00390625f;
constexpr int kOutput0ZeroPoint = -128;

// Output 1, sum: float32 (1, 12).
constexpr int kOutput1Elements = 12;

// Output 0 holds one score a class.
constexpr int kClasses = kOutput0Elements;
constexpr const char* kLabels[kClasses] = {
    "0",
    "1",
    "2",
};

#endif  // EDGEKIT_MODEL_SETTINGS_H_
