# The Python side of test/transformers.ts: writes model folders with Hugging Face transformers, and says what it makes of folders.
#   transformers-check.py REQUEST.json   {"write": [{kind, dir, tokenizer}], "read": [{dir, tokens, texts, out}]}
# Logits go to the safetensors file `out`; token ids and texts are printed as JSON, one object for each folder read.
import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is ever fetched

import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

KINDS = {
    "grouped": dict(num_key_value_heads=2),
    "tied": dict(num_key_value_heads=4, tie_word_embeddings=True),
    "wide heads, rope_theta 500000": dict(num_key_value_heads=1, head_dim=20, rope_theta=500000.0),
    "several files": dict(num_key_value_heads=2),
    "bfloat16": dict(num_key_value_heads=2),
    "padded": dict(num_key_value_heads=2, vocab_size=320),
    "biases": dict(num_key_value_heads=2, attention_bias=True, mlp_bias=True),
    "llama3 scaling": dict(num_key_value_heads=2, rope_parameters={
        "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32,
    }),
    "mistral": dict(family="mistral", num_key_value_heads=2, sliding_window=7),
    "qwen2": dict(family="qwen2", num_key_value_heads=2, tie_word_embeddings=True),
}


def read(dir, tokens, texts, out):
    model, info = AutoModelForCausalLM.from_pretrained(dir, dtype=torch.float32, output_loading_info=True)
    for key in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if info[key]:
            raise SystemExit(f"{dir}: {key}: {info[key]}")
    model.eval()
    with torch.no_grad():
        logits = model(torch.tensor(tokens)).logits
    save_file({"logits": logits.float().contiguous()}, out)
    tokenizer = AutoTokenizer.from_pretrained(dir)
    ids = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    return {
        "ids": ids,
        "texts": [tokenizer.decode(row, skip_special_tokens=False) for row in ids],
        "bos_id": tokenizer.bos_token_id,
        "eos_id": tokenizer.eos_token_id,
        "model_class": type(model).__name__,
        "tokenizer_class": type(tokenizer).__name__,
        "transformers": transformers.__version__,
        "torch": torch.__version__,
    }


def write(kind, dir, tokenizer):
    torch.manual_seed(7)
    own = {"family": "llama", "vocab_size": 257, **KINDS[kind]}
    config = AutoConfig.for_model(
        own.pop("family"),
        hidden_size=48,
        intermediate_size=80,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=64,
        initializer_range=0.2,
        bos_token_id=256,
        eos_token_id=256,
        **own,
    )
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(".bias"):  # transformers begins with zeros, which would show nothing
                parameter.normal_(std=0.5)
    if kind == "bfloat16":
        model = model.to(torch.bfloat16)
    model.save_pretrained(dir, **({"max_shard_size": "60KB"} if kind == "several files" else {}))
    AutoTokenizer.from_pretrained(tokenizer).save_pretrained(dir)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        request = json.load(file)
    for folder in request["write"]:
        write(**folder)
    print(json.dumps([read(**folder) for folder in request["read"]]))
