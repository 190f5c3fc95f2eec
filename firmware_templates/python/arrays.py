# --- arrays to samples ---------------------------------------------------------------------------


def file_samples(paths):
    """(name, arrays or error) for each sample in the files."""
{% if inputs | length == 1 %}
    for path in paths:
        try:
            samples = stacked(read_array(path), INPUTS[0])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            yield str(path), getattr(error, "strerror", None) or str(error)
            continue
        for i, sample in enumerate(samples):
            yield f"{path}[{i}]" if len(samples) > 1 else str(path), [sample]


def read_array(path):
    """The array in an .npy file; of an .npz the only one, or the one with the input's name."""
    array = np.load(path)
    if isinstance(array, np.ndarray):
        return array
    with array as arrays:
        only = len(arrays.files) == 1
        return arrays[arrays.files[0] if only else INPUTS[0].name]
{% else %}
    for files in file_sets(paths):
        name = ", ".join(map(str, files))
        try:
            samples = list(map(stacked, read_arrays(files), INPUTS))
            counts = sorted({len(array) for array in samples})
            if len(counts) > 1:
                raise ValueError(f"the inputs hold different numbers of samples: {counts}")
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            yield name, getattr(error, "strerror", None) or str(error)
            continue
        for i in range(counts[0]):
            yield f"{name}[{i}]" if counts[0] > 1 else name, [array[i] for array in samples]


def file_sets(paths):
    """Files that together hold one array for each input: an .npz, or so many .npy in a row."""
    waiting = []
    for path in paths:
        if path.suffix == ".npz":
            yield [path]
            continue
        waiting.append(path)
        if len(waiting) == len(INPUTS):
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def read_arrays(files):
    """One array for each of INPUTS."""
    if files[0].suffix == ".npz":
        with np.load(files[0]) as arrays:
            return [arrays[tensor.name] for tensor in INPUTS]
    if len(files) != len(INPUTS):
        raise ValueError(f"the network has {len(INPUTS)} inputs, name a file for each")
    return [np.load(file) for file in files]
{% endif %}


def stacked(array, tensor):
    """Samples (n, *shape) in the tensor's type.

    One sample may come alone, and without the leading 1 of the shape. Arrays of another type than
    the tensor's hold real values.
    """
    shape = tensor.shape
    inner = shape[1:] if shape[:1] == (1,) else shape
    alone = array.shape in (shape, inner)
    if not alone and array.shape[1:] not in (shape, inner):
        raise ValueError(f"shape {array.shape} is neither {shape} nor a stack of it")
    if not array.size:
        raise ValueError("holds no samples")
    array = array.reshape(1 if alone else len(array), *shape)
    if array.dtype == tensor.dtype:
        return array
    if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
        raise ValueError("holds what is no finite number")
    return to_tensor(array, tensor)
