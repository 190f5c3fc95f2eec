// {{ name }}: exactly the operators that the model uses. Written by edgekit {{ version }}.
#ifndef EDGEKIT_OP_RESOLVER_H_
#define EDGEKIT_OP_RESOLVER_H_

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

using ModelOpResolver = tflite::MicroMutableOpResolver<{{ ops | length }}>;

inline TfLiteStatus RegisterOps(ModelOpResolver& resolver) {
{% for op in ops %}
  TF_LITE_ENSURE_STATUS(resolver.Add{{ op }}());
{% endfor %}
  return kTfLiteOk;
}

#endif  // EDGEKIT_OP_RESOLVER_H_
