// {{ name }}: the int8 model as a TFLite flatbuffer. Written by edgekit {{ version }}.
#ifndef EDGEKIT_MODEL_DATA_H_
#define EDGEKIT_MODEL_DATA_H_

constexpr int kModelDataBytes = {{ model | length }};

// On 16 bytes, as the interpreter reads the weights in place.
extern const unsigned char kModelData[kModelDataBytes];

#endif  // EDGEKIT_MODEL_DATA_H_
