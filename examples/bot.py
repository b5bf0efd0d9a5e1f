"""A bot that answers what it is asked, exactly once. It keeps no state: each answer says which question it is to.

    python3 -m pip install boto3
    CHAT_FUNCTION=NAME python3 examples/bot.py

NAME is the stack's output ApiFunctionName. docs/backends.md explains how to run it against `make run`.
"""

import json
import os
import time

import boto3

LAMBDA = boto3.client("lambda")
FUNCTION = os.environ.get("CHAT_FUNCTION", "ApiFunction")
BOT = os.environ.get("BOT", "bot")


def call(action, **fields):
    payload = json.dumps({"as": BOT, "action": action, **fields})
    frame = json.load(LAMBDA.invoke(FunctionName=FUNCTION, Payload=payload)["Payload"])
    if frame["type"] == "error":
        raise RuntimeError(f"{action}: {frame['message']}")
    return frame["value"]


def unanswered(peer):
    """The questions after the newest one that has an answer, oldest first. They are answered in order."""
    questions, answered, more = [], 0, {}
    while True:
        page = call("getMessages", targetId=peer, **more)
        for entry in page["messages"]:
            name = entry.get("clientMessageId", "")
            if entry["senderId"] == BOT and name.startswith("answer-"):
                answered = answered or int(name.removeprefix("answer-"))
            elif entry["seq"] <= answered:
                return questions[::-1]
            elif entry["senderId"] == peer and entry.get("content"):
                questions.append(entry)
        if "lastEvaluatedKey" not in page:
            return questions[::-1]
        more = {"startKey": page["lastEvaluatedKey"]}


def answer_all(answer):
    for row in call("getConversations")["conversations"]:
        for question in unanswered(row["peerId"]):
            # A repeat has the same clientMessageId and lastSeq, so the answer is stored once.
            once = {"clientMessageId": f"answer-{question['seq']}", "lastSeq": question["seq"]}
            text = answer(question["content"])
            call("sendMessage", recipientId=row["peerId"], content=text, replyTo=question["seq"], **once)


if __name__ == "__main__":
    while True:
        answer_all(lambda question: f"You said: {question}")
        time.sleep(float(os.environ.get("PAUSE", "2")))
