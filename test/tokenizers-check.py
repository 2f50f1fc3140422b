# The Python side of test/tokenizers.ts: the ids and texts that Hugging Face's tokenizers gives.
#   tokenizers-check.py CASES.jsonl RESULTS.jsonl      a line is {tokenizer, texts}; a result is {error} or {results: [{ids, text} or {error}]}
import json
import sys

from tokenizers import Tokenizer


def result(tokenizer, text):
    try:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        return {"ids": ids, "text": tokenizer.decode(ids, skip_special_tokens=False)}
    except BaseException as error:  # the library panics on some of its own mistakes
        return {"error": str(error)}


def results(case):
    try:
        tokenizer = Tokenizer.from_str(json.dumps(case["tokenizer"]))
    except BaseException as error:
        return {"error": str(error)}
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return {"results": [result(tokenizer, text) for text in case["texts"]]}


with open(sys.argv[1], encoding="utf-8") as cases, open(sys.argv[2], "w", encoding="utf-8") as out:
    for line in cases:
        out.write(json.dumps(results(json.loads(line))) + "\n")
