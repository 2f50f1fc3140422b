# The same training step in PyTorch, as `bench compute`'s other side: reads commands as lines of JSON, answers with times.
import json
import math
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

WORKLOAD = json.loads(sys.argv[1])
THREADS = int(sys.argv[2])
COMPILE = sys.argv[3] == "compile"
TRIAL_STEPS = 3  # of each way to run AdamW, before the fastest is kept



def memory_bytes(field):
    """VmRSS or VmHWM on Linux: getrusage would also count the process that started this one."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith(field + ":"))
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


IDLE_BYTES = memory_bytes("VmRSS")
torch.set_num_threads(THREADS)
torch.manual_seed(1)


class Block(nn.Module):
    def __init__(self, width, heads, feed_forward):
        super().__init__()
        self.heads = heads
        self.input_layernorm = nn.RMSNorm(width, eps=1e-6)
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width, bias=False)
        self.o_proj = nn.Linear(width, width, bias=False)
        self.post_attention_layernorm = nn.RMSNorm(width, eps=1e-6)
        self.gate_proj = nn.Linear(width, feed_forward, bias=False)
        self.up_proj = nn.Linear(width, feed_forward, bias=False)
        self.down_proj = nn.Linear(feed_forward, width, bias=False)

    def forward(self, x, cos, sin):
        batch, context, width = x.shape
        h = self.input_layernorm(x)
        q, k, v = (
            project(h).view(batch, context, self.heads, -1).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        attended = F.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v, is_causal=True)
        x = x + self.o_proj(attended.transpose(1, 2).reshape(batch, context, width))
        h = self.post_attention_layernorm(x)
        return x + self.down_proj(F.silu(self.gate_proj(h)) * self.up_proj(h))


def rotate(x, cos, sin):
    low, high = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-high, low), dim=-1) * sin


class Llama(nn.Module):
    def __init__(self, vocab, layers, heads, width, feed_forward, context, **_):
        super().__init__()
        self.embed_tokens = nn.Embedding(vocab, width)
        self.layers = nn.ModuleList(Block(width, heads, feed_forward) for _ in range(layers))
        self.norm = nn.RMSNorm(width, eps=1e-6)
        self.lm_head = nn.Linear(width, vocab, bias=False)
        half = width // heads // 2
        angles = torch.outer(torch.arange(context).float(), 10000.0 ** (-torch.arange(half).float() / half))
        angles = torch.cat((angles, angles), dim=-1)
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                residual = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(weight, std=0.02 / math.sqrt(2 * layers) if residual else 0.02)

    def forward(self, tokens, targets):
        x = self.embed_tokens(tokens)
        for layer in self.layers:
            x = layer(x, self.cos, self.sin)
        logits = self.lm_head(self.norm(x))
        return F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))


def batch_of(step):
    """The tokens of compute-workload.ts."""
    state = (step * 7919 + 1) & 0xFFFFFFFF
    text = []
    for _ in range(WORKLOAD["batch"] * (WORKLOAD["context"] + 1)):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        share = (state >> 8) / 2**24
        text.append(int(share * share * WORKLOAD["vocab"]))
    text = torch.tensor(text).view(WORKLOAD["batch"], -1)
    return text[:, :-1].contiguous(), text[:, 1:].contiguous()


model = Llama(**WORKLOAD)
parameters = list(model.parameters())
loss_of = torch.compile(model) if COMPILE else model


def optimiser(**how):
    groups = [
        {"params": [p for p in parameters if p.dim() == 2], "weight_decay": 0.1},
        {"params": [p for p in parameters if p.dim() != 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), eps=1e-8, **how)


step_count = 0


def train_step(adamw):
    """Milliseconds of one step, and its loss."""
    global step_count
    tokens, targets = batch_of(step_count)
    step_count += 1
    started = time.perf_counter()
    adamw.zero_grad(set_to_none=True)
    loss = loss_of(tokens, targets)
    loss.backward()
    nn.utils.clip_grad_norm_(parameters, 1.0)
    adamw.step()
    value = loss.item()
    return (time.perf_counter() - started) * 1000, value


# AdamW has three implementations; the fastest on this machine and model is the one to be compared with.
WAYS = {"for-loop": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}
train_step(optimiser(fused=True))


def seconds_of(way):
    adamw = optimiser(**WAYS[way])
    adamw.step()  # makes its state
    best = math.inf
    for _ in range(TRIAL_STEPS):
        started = time.perf_counter()
        adamw.step()
        best = min(best, time.perf_counter() - started)
    return best


way = min(WAYS, key=seconds_of)
adamw = optimiser(**WAYS[way])


def answer(value):
    print(json.dumps(value), flush=True)


answer({"about": f"PyTorch {torch.__version__} {'compile' if COMPILE else 'eager'}, AdamW {way}", "idle_bytes": IDLE_BYTES})
for line in sys.stdin:
    results = [train_step(adamw) for _ in range(json.loads(line)["steps"])]
    answer({"times_ms": [ms for ms, _ in results], "loss": results[-1][1], "peak_bytes": memory_bytes("VmHWM")})
