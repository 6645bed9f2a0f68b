#!/usr/bin/env python3
"""Rates of PyTorch on a Hugging Face model: a prompt of 512 tokens and 64 tokens one by one.

pytorch_baseline.py FOLDER: medians of five runs after one to warm up, on a GPU if PyTorch has one.
"""
import statistics
import sys
import time

import torch
import transformers

PROMPT, DECODE, RUNS = 512, 64, 5


def main(folder):
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).to(device).eval()
    vocabulary = model.config.vocab_size
    tokens = torch.arange(10, 10 + PROMPT, device=device).remainder(vocabulary)[None]

    def clock():
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    prompts, decodes = [], []
    with torch.inference_mode():
        for _ in range(RUNS + 1):
            start = clock()
            step = model(tokens, use_cache=True)
            middle = clock()
            for _ in range(DECODE):
                token = step.logits[:, -1:].argmax(-1)
                step = model(token, past_key_values=step.past_key_values, use_cache=True)
            end = clock()
            prompts.append(PROMPT / (middle - start))
            decodes.append(DECODE / (end - middle))
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    print(f"PyTorch {torch.__version__} on {name}, {model.dtype}")
    print(f"pp{PROMPT} {statistics.median(prompts[1:]):.2f} tok/s")
    print(f"tg{DECODE}@d{PROMPT} {statistics.median(decodes[1:]):.2f} tok/s")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
