"""Prints COUNT records of JSON, one a line, that are always the same: customers with orders, as services hold them."""
import json
import random
import sys

choose = random.Random(16)
SYLLABLES = [c + v for c in "bcdfghjklmnprstvwz" for v in "aeiou"]
WORDS = ["".join(choose.choices(SYLLABLES, k=choose.randint(1, 4))) for _ in range(4000)]
STATES = ["open", "paid", "packed", "shipped", "returned"]


def words(count: int) -> str:
    return " ".join(choose.choices(WORDS, k=count))


def order() -> dict:
    return {
        "sku": f"{choose.getrandbits(40):010x}",
        "count": choose.randint(1, 9),
        "price": round(choose.lognormvariate(3, 1), 2),
        "state": choose.choice(STATES),
    }


for number in range(int(sys.argv[1])):
    name = words(2).title()
    record = {
        "id": number,
        "token": f"{choose.getrandbits(128):032x}",
        "name": name,
        "mail": f"{name.replace(' ', '.').lower()}@{choose.choice(WORDS)}.example",
        "since": f"20{choose.randint(10, 25)}-{choose.randint(1, 12):02}-{choose.randint(1, 28):02}",
        "note": words(choose.randint(0, 20)),
        "orders": [order() for _ in range(choose.randint(0, 4))],
    }
    print(json.dumps(record))
