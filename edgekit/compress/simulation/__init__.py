"""A graph in torch: what it computes, exactly, with gradients. The only room for torch in repairs.

`reals` says what each op means in real numbers, `layer` how a layer with weights computes integers
that can be trained, `network` puts a whole int8 graph together. `reconstruct` and `finetune` train.
"""
