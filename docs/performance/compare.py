#!/usr/bin/env python3
"""Times farsight and a plain PyTorch GPT of the same shape in turn, and prints the ratio of each round.

    docs/performance/compare.py [--shape S|M|L | --numbers blocks,width,heads,vocabulary,T,B]
        [--mode train|eval] [--precision fp32|bf16] [--rounds 3] [--steps 5] [--threads 2]
        [--binary build/farsight]

Run it on an otherwise idle machine, with a python3 that has torch (Debian: python3-torch). PyTorch
gets pinned threads and OpenBLAS in its OpenMP flavour, which are much faster than its defaults; it
is tried with and without AVX-512, and the better of the two counts. In bf16 it runs under autocast.
"""
import argparse
import glob
import json
import os
import resource
import statistics
import subprocess
import sys
import time

SHAPES = {"S": "4,128,4,512,128,16", "M": "6,384,6,8192,256,8", "L": "12,768,12,50304,512,1"}


def time_torch(numbers, mode, precision, steps, threads):
    """Whole steps of PyTorch in this process; returns what `farsight bench --json` would."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    blocks, width, heads, vocabulary, T, B = numbers
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    future = torch.ones(T, T, dtype=torch.bool).triu(1)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x):
            q, k, v = (t.view(B, T, heads, -1).transpose(1, 2)
                       for t in self.qkv(self.norm1(x)).chunk(3, dim=-1))
            if hasattr(F, "scaled_dot_product_attention"):
                y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            else:
                scores = q @ k.transpose(2, 3) * (width // heads) ** -0.5
                y = scores.masked_fill(future, float("-inf")).softmax(-1) @ v
            x = x + self.out(y.transpose(1, 2).reshape(B, T, width))
            return x + self.down(F.gelu(self.up(self.norm2(x))))

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(T, width)
            self.blocks = nn.Sequential(*(Block() for _ in range(blocks)))
            self.norm = nn.LayerNorm(width)
            for parameter in self.parameters():
                if parameter.dim() > 1:
                    nn.init.normal_(parameter, std=0.02)

        def forward(self, tokens, targets):
            x = self.norm(self.blocks(self.tokens(tokens) + self.places.weight))
            logits = F.linear(x, self.tokens.weight).view(B * T, vocabulary)
            return F.cross_entropy(logits.float(), targets.reshape(-1))

    model = GPT()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1)
    autocast = torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16")
    seconds = []
    for _ in range(steps + 1):
        text = torch.randint(vocabulary, (B, T + 1))
        start = time.perf_counter()
        with autocast, torch.set_grad_enabled(mode == "train"):
            loss = model(text[:, :-1], text[:, 1:])
        if mode == "train":
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        seconds.append(time.perf_counter() - start)
    return {"name": "torch " + torch.__version__,
            "tokens_per_second": B * T / statistics.median(seconds[1:]),
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}


def run(command, threads, extra):
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith(("OMP_", "OPENBLAS_"))}
    environment.update(OMP_NUM_THREADS=str(threads), OMP_PROC_BIND="true", **extra)
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="M")
    parser.add_argument("--numbers")
    parser.add_argument("--mode", choices=["train", "eval"], default="train")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--binary", default="build/farsight")
    parser.add_argument("--torch", action="store_true", help="time PyTorch once, here")
    args = parser.parse_args()
    numbers = args.numbers or SHAPES[args.shape]
    if args.torch:
        print(json.dumps(time_torch([int(n) for n in numbers.split(",")], args.mode, args.precision,
                                    args.steps, args.threads)))
        return
    common = ["--numbers", numbers, "--mode", args.mode, "--precision", args.precision,
              "--steps", str(args.steps), "--threads", str(args.threads)]
    library = {"LD_LIBRARY_PATH": folder for folder in glob.glob("/usr/lib/*/openblas-openmp")}
    ratios = []
    for number in range(1, args.rounds + 1):
        ours = run([args.binary, "bench", "--json"] + common, args.threads, {})
        peers = [run([sys.executable, __file__, "--torch"] + common, args.threads,
                     {**library, **extra}) for extra in ({}, {"ATEN_CPU_CAPABILITY": "avx512"})]
        best = max(peers, key=lambda peer: peer["tokens_per_second"])
        ratios.append(ours["tokens_per_second"] / best["tokens_per_second"])
        print(f"round {number}: farsight {ours['tokens_per_second']:.0f} tokens/s, "
              f"{ours['peak_mib']} MiB; {best['name']} {best['tokens_per_second']:.0f} tokens/s, "
              f"{best['peak_mib']} MiB; ratio {ratios[-1]:.2f}", flush=True)
    print(f"{args.mode} {args.numbers or args.shape} {args.precision}: median ratio "
          f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
