// toy_0.25_16 on TensorFlow Lite Micro: sets up the interpreter, runs the golden vectors and says
// whether every output is bit-exact. Written by edgekit 0.1.0; replace main's second half by
// your camera.
#include <stdint.h>

#include "golden_vectors.h"
#include "model_data.h"
#include "model_settings.h"
#include "op_resolver.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_log.h"
#include "tensorflow/lite/micro/system_setup.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {

alignas(16) uint8_t arena[kArenaBytes];

// The class with the highest score; of equal ones the first.
int BestClass(const int8_t* scores) {
  int best = 0;
  for (int i = 1; i < kClasses; ++i) {
    if (scores[i] > scores[best]) best = i;
  }
  return best;
}

// Copies kInputBytes to the network's input, runs it and returns kClasses scores; nullptr if the
// network fails.
const int8_t* Classify(tflite::MicroInterpreter& interpreter, const int8_t* pixels) {
  int8_t* input = interpreter.input(0)->data.int8;
  for (int i = 0; i < kInputBytes; ++i) input[i] = pixels[i];
  if (interpreter.Invoke() != kTfLiteOk) return nullptr;
  return interpreter.output(0)->data.int8;
}

// Runs the golden vectors; returns how many outputs differ from the expected ones.
int CountFailures(tflite::MicroInterpreter& interpreter) {
  int failures = 0;
  for (int i = 0; i < kGoldenCount; ++i) {
    const int8_t* scores = Classify(interpreter, kGoldenInputs[i]);
    if (scores == nullptr) return kGoldenCount;
    bool exact = true;
    for (int c = 0; c < kClasses; ++c) exact = exact && scores[c] == kGoldenOutputs[i][c];
    const int best = BestClass(scores);
    MicroPrintf("golden vector %d: %s, %s (%d)", i, exact ? "exact" : "WRONG", kLabels[best],
                scores[best]);
    if (!exact) ++failures;
  }
  return failures;
}

}  // namespace

int main() {
  tflite::InitializeTarget();
  const tflite::Model* model = tflite::GetModel(kModelData);
  if (model->version() != TFLITE_SCHEMA_VERSION) {
    MicroPrintf("The model has schema %d, this runtime %d.", static_cast<int>(model->version()),
                TFLITE_SCHEMA_VERSION);
    return 1;
  }
  static ModelOpResolver resolver;
  if (RegisterOps(resolver) != kTfLiteOk) {
    MicroPrintf("This runtime lacks an operator.");
    return 1;
  }
  static tflite::MicroInterpreter interpreter(model, resolver, arena, kArenaBytes);
  if (interpreter.AllocateTensors() != kTfLiteOk) {
    MicroPrintf("The arena of %d bytes is too small for this runtime.", kArenaBytes);
    return 1;
  }
  MicroPrintf("arena: %d of %d bytes used", static_cast<int>(interpreter.arena_used_bytes()),
              kArenaBytes);
  const int failures = CountFailures(interpreter);
  MicroPrintf("self test: %s", failures == 0 ? "PASSED" : "FAILED");
  return failures == 0 ? 0 : 1;
}
