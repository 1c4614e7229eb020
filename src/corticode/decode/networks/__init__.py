"""Networks: tensors in, logits out; they know nothing of files, folds or training."""
