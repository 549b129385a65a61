"""Sentences, in English and Chinese, and the requests they are."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.intents.parsed import Parsed, Vocabulary
from handlers.registry import understood
from handlers.understand import understand
from jobs.catalog import SUITES, snapshot

VOCABULARY = Vocabulary(
    catalog=snapshot(),
    models=frozenset({"prod", "staging-7b", "生产模型"}),
    datasets=frozenset({"faq", "客服问答", "sample_mcq", "sample_qa"}),
    keys=frozenset({"prod-openai", "qwen-key"}),
)
GENERAL, CHINESE, MULTIMODAL, SAMPLE = (list(SUITES[name]) for name in ("general", "chinese", "multimodal", "sample"))


def ask(text: str, **options: Any) -> Parsed:
    return understand(text, VOCABULARY, **options)


def ev(model: str | list[str] | None, *datasets: str, **args: Any) -> dict[str, Any]:
    """The arguments of an evaluation, briefly."""
    said: dict[str, Any] = {"models" if isinstance(model, list) else "model": model} if model else {}
    return said | ({"datasets": list(datasets)} if datasets else {}) | args


def gen(**settings: Any) -> dict[str, Any]:
    return {"generation_config": settings}


MOCK = {"eval_type": "mock_llm"}

EVAL: list[tuple[str, dict[str, Any]]] = [
    # names
    ("evaluate qwen-plus on gsm8k", ev("qwen-plus", "gsm8k")),
    ("Evaluate Qwen/Qwen2.5-7B-Instruct on GSM8K.", ev("Qwen/Qwen2.5-7B-Instruct", "gsm8k")),
    ("run gsm8k on prod", ev("prod", "gsm8k")),
    ("please run GSM-8K and MMLU Pro on gpt-4o", ev("gpt-4o", "gsm8k", "mmlu_pro")),
    ("test deepseek-v3 with humaneval, mbpp and ifeval", ev("deepseek-v3", "humaneval", "mbpp", "ifeval")),
    ("can you benchmark claude-3-5-sonnet on C-Eval?", ev("claude-3-5-sonnet", "ceval")),
    ("How good is smollm2-135m at HellaSwag?", ev("smollm2-135m", "hellaswag")),
    ("how well does gpt-4o-mini do on truthful qa", ev("gpt-4o-mini", "truthful_qa")),
    ("score o1-mini on math 500", ev("o1-mini", "math_500")),
    ("evaluate qwen-plus and qwen-turbo on gsm8k", ev(["qwen-plus", "qwen-turbo"], "gsm8k")),
    (
        "run gsm8k on qwen-plus and qwen-turbo, 100 samples, and compare them",
        ev(["qwen-plus", "qwen-turbo"], "gsm8k", limit=100),
    ),
    ("evaluate my fine-tuned model my-sft-v2 on gsm8k", ev("my-sft-v2", "gsm8k")),
    ("evaluate the model I deployed, staging-7b, on mmlu", ev("staging-7b", "mmlu")),
    ("evaluate our newly trained checkpoint org/model-7b-v3 on mmlu", ev("org/model-7b-v3", "mmlu")),
    ("evaluate /models/qwen-7b on arc", ev("/models/qwen-7b", "arc")),
    ("run DROP and RACE on prod", ev("prod", "drop", "race")),
    ("qwen-plus on gsm8k, 20 questions please", ev("qwen-plus", "gsm8k", limit=20)),
    ("run humaneval+ on prod", ev("prod", "humaneval_plus")),
    ("evaluate prod on Humanity's-Last-Exam", ev("prod", "hle")),
    ("evaluate prod on needle in a haystack", ev("prod", "needle_haystack")),
    ("evaluate prod on faq", ev("prod", "faq")),
    ("run the mock model on gsm8k", ev("mock_llm", "gsm8k", **MOCK)),
    ("evaluate mock on the sample benchmark", ev("mock_llm", *SAMPLE, **MOCK)),
    ("Hi, can you help me evaluate qwen-plus on gsm8k?", ev("qwen-plus", "gsm8k")),
    ("hello! evaluate prod on mmlu. thanks", ev("prod", "mmlu")),
    ("用 gsm8k 评测 qwen-plus", ev("qwen-plus", "gsm8k")),
    ("评测qwen-plus在gsm8k上的表现", ev("qwen-plus", "gsm8k")),
    ("用qwen-plus跑一下gsm8k和mmlu", ev("qwen-plus", "gsm8k", "mmlu")),
    ("帮我测一下 prod 的 C-Eval 成绩", ev("prod", "ceval")),
    ("在 ceval、cmmlu 上评估 qwen-max", ev("qwen-max", "ceval", "cmmlu")),
    ("跑个 humaneval，模型 deepseek-v3", ev("deepseek-v3", "humaneval")),
    ("评测我微调后的模型 my-sft-v2 在 gsm8k 上的效果", ev("my-sft-v2", "gsm8k")),
    ("测试训练好的 staging-7b，用 mmlu", ev("staging-7b", "mmlu")),
    ("评测生产模型，数据集客服问答", ev("生产模型", "客服问答")),
    ("用模拟模型跑示例评测", ev("mock_llm", *SAMPLE, **MOCK)),
    ("对比 qwen-plus 和 qwen-turbo 在 gsm8k 上，100 条", ev(["qwen-plus", "qwen-turbo"], "gsm8k", limit=100)),
    ("Could you kick off an eval of qwen-max on mmlu?", ev("qwen-max", "mmlu")),
    ("I'd like to see how gpt-4o performs on GPQA", ev("gpt-4o", "gpqa_diamond")),
    ("evaluate on gsm8k the model called my_model", ev("my_model", "gsm8k")),
    ("test model foo on dataset bar", ev("foo", "bar")),
    ("run gsm9k on my-model", ev("my-model", "gsm9k")),
    ("Evaluate model: qwen-plus, dataset: gsm8k, limit: 100", ev("qwen-plus", "gsm8k", limit=100)),
    ("模型：qwen-plus 数据集：gsm8k 数量：100", ev("qwen-plus", "gsm8k", limit=100)),
    ("在 prod 上运行 gsm8k", ev("prod", "gsm8k")),
    ("给 qwen-plus 做个 mmlu 测评", ev("qwen-plus", "mmlu")),
    ("evaluate prod on @/etc/passwd", ev("prod")),
    ("eval qwen-plus gsm8k 100", ev("qwen-plus", "gsm8k", limit=100)),
    ("把 qwen-plus 和 qwen-turbo 都在 gsm8k 上跑一遍", ev(["qwen-plus", "qwen-turbo"], "gsm8k")),
    ("部署好的 qwen-plus 在 gsm8k 上测一下", ev("qwen-plus", "gsm8k")),
    ("不用 gsm8k，用 mmlu 评测 prod", ev("prod", "mmlu")),
    ("qwen-plus 跑 gsm8k 二十条，不，五十条", ev("qwen-plus", "gsm8k", limit=50)),
    # suites
    ("run the general suite on prod", ev("prod", *GENERAL)),
    ("evaluate qwen-plus with the Chinese suite", ev("qwen-plus", *CHINESE)),
    ("run the multimodal suite on qwen-vl-max", ev("qwen-vl-max", *MULTIMODAL)),
    ("run the general suite except bbh and humaneval on prod", ev("prod", "mmlu", "gsm8k", "ifeval")),
    ("用通用套件评测 qwen-plus", ev("qwen-plus", *GENERAL)),
    ("用中文套件测一下 prod", ev("prod", *CHINESE)),
    ("prod 跑一下多模态套件，每个子集 10 条", ev("prod", *MULTIMODAL, limit=10)),
    # what is missing or unknown stays so
    ("evaluate qwen-plus", ev("qwen-plus")),
    ("run gsm8k", ev(None, "gsm8k")),
    ("evaluate a model", {}),
    ("评测一下", {}),
    ("evaluate qwen-plus on gsm9k", ev("qwen-plus", "gsm9k")),
    ("evaluate qwen-plus on foobench", ev("qwen-plus", "foobench")),
    ("evaluate qwen-plus on gsm9k and mmlu", ev("qwen-plus", "mmlu", "gsm9k")),
    ("run foobench on prod", ev("prod", "foobench")),
    ("run gsm8k on staging", ev("staging", "gsm8k")),
    ("evaluate foomodel on gsm8k", ev("foomodel", "gsm8k")),
    ("用 gsm9k 评测 qwen-plus", ev("qwen-plus", "gsm9k")),
    ("用 foobench 评测 prod，50 条", ev("prod", "foobench", limit=50)),
    # limit
    ("evaluate qwen-plus on gsm8k with 100 samples", ev("qwen-plus", "gsm8k", limit=100)),
    ("run the first 20 questions of gsm8k on prod", ev("prod", "gsm8k", limit=20)),
    ("evaluate prod on gsm8k limit 50", ev("prod", "gsm8k", limit=50)),
    ("evaluate prod on gsm8k, limit=50", ev("prod", "gsm8k", limit=50)),
    ("evaluate prod on math 500 with 25 examples", ev("prod", "math_500", limit=25)),
    ("run 500 samples of gsm8k on prod", ev("prod", "gsm8k", limit=500)),
    ("run 12 gsm8k questions on prod", ev("prod", "gsm8k", limit=12)),
    ("evaluate prod on 10% of mmlu", ev("prod", "mmlu", limit=0.1)),
    ("evaluate prod on half of mmlu", ev("prod", "mmlu", limit=0.5)),
    ("evaluate prod on mmlu, 1k samples", ev("prod", "mmlu", limit=1000)),
    ("evaluate prod on mmlu, 1,000 samples", ev("prod", "mmlu", limit=1000)),
    ("evaluate prod on mmlu with a hundred samples", ev("prod", "mmlu", limit=100)),
    ("evaluate prod on mmlu with two hundred and fifty samples", ev("prod", "mmlu", limit=250)),
    ("evaluate prod on mmlu, 5 per subset", ev("prod", "mmlu", limit=5)),
    ("evaluate prod on mmlu, 20, no wait, 50", ev("prod", "mmlu", limit=50)),
    ("evaluate prod on mmlu, 20 samples, sorry, make it 50", ev("prod", "mmlu", limit=50)),
    ("evaluate prod on mmlu, 100% of the samples", ev("prod", "mmlu")),
    ("evaluate qwen-plus on gsm8k.\nlimit 50\ntemperature 0", ev("qwen-plus", "gsm8k", limit=50, **gen(temperature=0))),
    ("用 gsm8k 评测 prod，前一百条", ev("prod", "gsm8k", limit=100)),
    ("用 gsm8k 评测 prod，二十条", ev("prod", "gsm8k", limit=20)),
    ("用 gsm8k 评测 prod，抽样10%", ev("prod", "gsm8k", limit=0.1)),
    ("用 gsm8k 评测 prod，百分之十", ev("prod", "gsm8k", limit=0.1)),
    ("用 gsm8k 评测 prod，跑一半", ev("prod", "gsm8k", limit=0.5)),
    ("用 gsm8k 评测 prod，500题", ev("prod", "gsm8k", limit=500)),
    ("用 gsm8k 评测 prod，两百道题", ev("prod", "gsm8k", limit=200)),
    ("用 gsm8k 评测 prod，100个样本", ev("prod", "gsm8k", limit=100)),
    ("用 gsm8k 评测 prod，限制为 30", ev("prod", "gsm8k", limit=30)),
    ("用 gsm8k 评测 prod，２０条", ev("prod", "gsm8k", limit=20)),
    ("用 gsm8k 评测 prod，20 条，不对，50 条", ev("prod", "gsm8k", limit=50)),
    # generation
    ("evaluate prod on gsm8k at temperature 0.7", ev("prod", "gsm8k", **gen(temperature=0.7))),
    ("evaluate prod on gsm8k, temperature=0 top_p=0.9", ev("prod", "gsm8k", **gen(temperature=0, top_p=0.9))),
    ("evaluate prod on gsm8k with at most 512 tokens", ev("prod", "gsm8k", **gen(max_tokens=512))),
    ("evaluate prod on gsm8k with max_tokens=512", ev("prod", "gsm8k", **gen(max_tokens=512))),
    ("evaluate prod on gsm8k, max tokens 2k, seed 7", ev("prod", "gsm8k", **gen(max_tokens=2000), seed=7)),
    ("evaluate prod on gsm8k with top-p 0.8 and 50 samples", ev("prod", "gsm8k", limit=50, **gen(top_p=0.8))),
    ("用 gsm8k 评测 prod，温度0.7", ev("prod", "gsm8k", **gen(temperature=0.7))),
    ("用 gsm8k 评测 prod，温度设为 0，最多 512 个 token", ev("prod", "gsm8k", **gen(temperature=0, max_tokens=512))),
    ("用 gsm8k 评测 prod，随机种子 42", ev("prod", "gsm8k", seed=42)),
    # few-shot and subsets
    ("evaluate prod on gsm8k 5-shot", ev("prod", "gsm8k", dataset_args={"gsm8k": {"few_shot_num": 5}})),
    ("run zero-shot gsm8k on prod", ev("prod", "gsm8k", dataset_args={"gsm8k": {"few_shot_num": 0}})),
    (
        "run 5-shot mmlu and 0-shot gsm8k on prod",
        ev("prod", "mmlu", "gsm8k", dataset_args={"mmlu": {"few_shot_num": 5}, "gsm8k": {"few_shot_num": 0}}),
    ),
    (
        "run gsm8k and mmlu on prod with 3 shots",
        ev("prod", "gsm8k", "mmlu", dataset_args={"gsm8k": {"few_shot_num": 3}, "mmlu": {"few_shot_num": 3}}),
    ),
    ("用 gsm8k 评测 prod，0 样本", ev("prod", "gsm8k", dataset_args={"gsm8k": {"few_shot_num": 0}})),
    ("用 gsm8k 评测 prod，零样本", ev("prod", "gsm8k", dataset_args={"gsm8k": {"few_shot_num": 0}})),
    (
        "evaluate prod on mmlu, only the abstract_algebra subset",
        ev("prod", "mmlu", dataset_args={"mmlu": {"subset_list": ["abstract_algebra"]}}),
    ),
    (
        "evaluate prod on mmlu abstract algebra and anatomy subsets, 10 samples",
        ev("prod", "mmlu", limit=10, dataset_args={"mmlu": {"subset_list": ["abstract_algebra", "anatomy"]}}),
    ),
    (
        "run mmlu:anatomy on prod",
        ev("prod", "mmlu", dataset_args={"mmlu": {"subset_list": ["anatomy"]}}),
    ),
    (
        "evaluate prod on ARC-Challenge",
        ev("prod", "arc", dataset_args={"arc": {"subset_list": ["ARC-Challenge"]}}),
    ),
    ("evaluate prod on faq subset hr", ev("prod", "faq", dataset_args={"faq": {"subset_list": ["hr"]}})),
    (
        "评测 prod 的 mmlu，只跑 astronomy 子集，10 条",
        ev("prod", "mmlu", limit=10, dataset_args={"mmlu": {"subset_list": ["astronomy"]}}),
    ),
    # the rest
    ("evaluate prod on gsm8k, repeat 3 times", ev("prod", "gsm8k", repeats=3)),
    ("evaluate prod on gsm8k three times", ev("prod", "gsm8k", repeats=3)),
    ("用 gsm8k 评测 prod，重复3次", ev("prod", "gsm8k", repeats=3)),
    ("evaluate prod on gsm8k with batch size 16", ev("prod", "gsm8k", eval_batch_size=16)),
    ("evaluate prod on gsm8k, 16 at a time", ev("prod", "gsm8k", eval_batch_size=16)),
    ("用 gsm8k 评测 prod，并发16", ev("prod", "gsm8k", eval_batch_size=16)),
    ("evaluate prod on gsm8k with key prod-openai", ev("prod", "gsm8k", api_key_name="prod-openai")),
    ("evaluate prod on gsm8k using the prod-openai key", ev("prod", "gsm8k", api_key_name="prod-openai")),
    ("用 gsm8k 评测 prod，用密钥 qwen-key", ev("prod", "gsm8k", api_key_name="qwen-key")),
    ("evaluate prod on gsm8k from huggingface", ev("prod", "gsm8k", dataset_hub="huggingface")),
    ("用 gsm8k 评测 prod，从 modelscope 下载", ev("prod", "gsm8k", dataset_hub="modelscope")),
    (
        "evaluate qwen2.5 at http://10.0.0.5:8000/v1 on gsm8k",
        ev("qwen2.5", "gsm8k", api_url="http://10.0.0.5:8000/v1"),
    ),
    (
        "用 gsm8k 评测 qwen2.5，地址是http://127.0.0.1:8801/v1/chat/completions，10条",
        ev("qwen2.5", "gsm8k", limit=10, api_url="http://127.0.0.1:8801/v1/chat/completions"),
    ),
    (
        "<@U123ABC> evaluate qwen2.5 on gsm8k at <http://host.example/v1|host.example/v1>",
        ev("qwen2.5", "gsm8k", api_url="http://host.example/v1"),
    ),
    ("@scopebot evaluate `qwen-plus` on `gsm8k`", ev("qwen-plus", "gsm8k")),
    # negations and corrections of names
    ("evaluate prod, not humaneval, just mbpp", ev("prod", "mbpp")),
    ("evaluate prod on humaneval, no wait, mbpp", ev("prod", "mbpp")),
    ("run mbpp instead of humaneval on prod", ev("prod", "mbpp")),
    ("评测 prod，不要 humaneval，只跑 mbpp", ev("prod", "mbpp")),
    ("评测 prod，不是 humaneval 而是 mbpp", ev("prod", "mbpp")),
]

OTHER: list[tuple[str, str, dict[str, Any]]] = [
    ("which benchmarks test coding?", "benchmarks", {"tags": ["Coding"]}),
    ("find benchmarks about medical questions", "benchmarks", {"tags": ["Medical"]}),
    ("list all benchmarks", "benchmarks", {}),
    ("what benchmarks are there for long context?", "benchmarks", {"tags": ["LongContext"]}),
    ("which datasets cover tool use", "benchmarks", {"tags": ["FunctionCalling"]}),
    ("which benchmarks are about physics?", "benchmarks", {"query": "physics"}),
    ("what is gsm8k", "benchmarks", {"name": "gsm8k"}),
    ("tell me about MMLU-Pro", "benchmarks", {"name": "mmlu_pro"}),
    ("有哪些数学基准？", "benchmarks", {"tags": ["Math"]}),
    ("有哪些中文评测集", "benchmarks", {"tags": ["Chinese"]}),
    ("有哪些基准", "benchmarks", {}),
    ("测代码能力的评测集有哪些", "benchmarks", {"tags": ["Coding"]}),
    ("介绍一下 gsm8k", "benchmarks", {"name": "gsm8k"}),
    ("gsm8k 是什么", "benchmarks", {"name": "gsm8k"}),
    ("有哪些函数调用的基准", "benchmarks", {"tags": ["FunctionCalling"]}),
    ("which benchmark should I use for coding?", "benchmarks", {"tags": ["Coding"]}),
    ("what does gsm8k measure?", "benchmarks", {"name": "gsm8k"}),
    ("mmlu 有哪些子集", "benchmarks", {"name": "mmlu"}),
    ("推荐一个医疗方面的数据集", "benchmarks", {"tags": ["Medical"]}),
    ("is r12 done yet?", "status", {"run": "r12"}),
    ("还有多久跑完", "status", {}),
    ("what did qwen-plus score on mmlu?", "results", {"model": "qwen-plus", "datasets": ["mmlu"]}),
    ("how do I see the results?", "help", {"about": "results"}),
    ("怎么评测模型？", "help", {}),
    ("status", "status", {}),
    ("what is running?", "status", {}),
    ("what's the status of r12", "status", {"run": "r12"}),
    ("how far is R12?", "status", {"run": "r12"}),
    ("status of run 12", "status", {"run": "r12"}),
    ("r12?", "status", {"run": "r12"}),
    ("r12 怎么样了", "status", {"run": "r12"}),
    ("运行12 的进度", "status", {"run": "r12"}),
    ("进度", "status", {}),
    ("r7 跑完了吗", "status", {"run": "r7"}),
    ("results of r12", "results", {"run": "r12"}),
    ("show the results of run 12", "results", {"run": "r12"}),
    ("last 5 results on gsm8k", "results", {"last": 5, "datasets": ["gsm8k"]}),
    ("results of qwen-plus", "results", {"model": "qwen-plus"}),
    ("show me the latest result", "results", {"last": 1}),
    ("how did prod do on mmlu and gsm8k", "results", {"model": "prod", "datasets": ["mmlu", "gsm8k"]}),
    ("test results of r12", "results", {"run": "r12"}),
    ("what is the score of qwen-plus on gsm8k", "results", {"model": "qwen-plus", "datasets": ["gsm8k"]}),
    ("r12 的结果", "results", {"run": "r12"}),
    ("gsm8k 最近 5 次的成绩", "results", {"last": 5, "datasets": ["gsm8k"]}),
    ("qwen-plus 的评测结果", "results", {"model": "qwen-plus"}),
    ("最近三次结果", "results", {"last": 3}),
    ("logs of r12", "logs", {"run": "r12"}),
    ("show the log of run 12", "logs", {"run": "r12"}),
    ("r12 的日志", "logs", {"run": "r12"}),
    ("看一下日志", "logs", {}),
    ("help", "help", {}),
    ("hello", "none", {}),
    ("hi!", "none", {}),
    ("what can you do?", "help", {}),
    ("how do I evaluate a model?", "help", {"about": "eval"}),
    ("你好", "none", {}),
    ("怎么用", "help", {}),
    # what Scopebot does not do
    ("train a model on my data", "none", {}),
    ("fine-tune qwen2.5-7b on gsm8k", "none", {}),
    ("finetune llama-3-8b with lora", "none", {}),
    ("deploy qwen-plus with vllm", "none", {}),
    ("serve Qwen/Qwen2.5-7B-Instruct on 2 GPUs", "none", {}),
    ("run a training job for my-model-7b", "none", {}),
    ("deploy prod and then test it on gsm8k", "eval", ev(None, "gsm8k")),
    ("微调一个 qwen 模型", "none", {}),
    ("帮我训练一个模型", "none", {}),
    ("把 qwen-plus 部署到 GPU 上", "none", {}),
    ("what's the weather like?", "none", {}),
    ("this is a test", "none", {}),
    ("thanks!", "none", {}),
    ("谢谢", "none", {}),
    ("今天天气怎么样", "none", {}),
    ("don't run gsm8k on prod", "none", {}),
    ("cancel r12", "cancel", {"run": "r12"}),
    ("stop all my runs", "cancel", {"run": "all"}),
    ("取消 r12", "cancel", {"run": "r12"}),
    ("全部取消", "cancel", {"run": "all"}),
    ("cancel it", "cancel", {}),
    ("cancel both", "cancel", {"run": "all"}),
    ("cancel 12", "cancel", {"run": "r12"}),
    ("cancel r1 and r2", "cancel", {"runs": ["r1", "r2"]}),
    ("cancel r1, r2, and run 3", "cancel", {"runs": ["r1", "r2", "r3"]}),
    ("cancel r3-r5", "cancel", {"runs": ["r3", "r4", "r5"]}),
    ("cancel r1 and r1", "cancel", {"run": "r1"}),
    ("取消r1、r2、r3", "cancel", {"runs": ["r1", "r2", "r3"]}),
    ("取消 r1 到 r2", "cancel", {"runs": ["r1", "r2"]}),
    ("resume r2 and r3", "resume", {"runs": ["r2", "r3"]}),
    ("继续 r2 和 r3", "resume", {"runs": ["r2", "r3"]}),
    ("status of r1 and r2", "status", {"runs": ["r1", "r2"]}),
    ("how are r1 and r2 doing?", "status", {"runs": ["r1", "r2"]}),
    ("r1 和 r2 的结果", "results", {"runs": ["r1", "r2"]}),
    ("resume r12", "resume", {"run": "r12"}),
    ("继续 r12", "resume", {"run": "r12"}),
    ("rerun r12", "rerun", {"run": "r12"}),
    ("rerun r12 with 100 samples", "rerun", {"run": "r12", "limit": 100}),
    ("rerun r12 in full", "rerun", {"run": "r12", "full": True}),
    ("rerun on everything", "rerun", {"full": True}),
    (
        "rerun r12 without limit, temperature 0",
        "rerun",
        {
            "run": "r12",
            "full": True,
            "generation_config": {"temperature": 0},
        },
    ),
    ("full run", "rerun", {"full": True}),
    ("full run of r12 please", "rerun", {"run": "r12", "full": True}),
    ("on everything", "rerun", {"full": True}),
    ("全量", "rerun", {"full": True}),
    ("跑全部", "rerun", {"full": True}),
    ("全量重跑 r12", "rerun", {"run": "r12", "full": True}),
    ("rerun r12 in full, no, 50 samples", "rerun", {"run": "r12", "limit": 50}),
    ("do a full run of gsm8k on prod", "eval", ev("prod", "gsm8k")),
    ("why?", "diagnose", {}),
    ("why did r12 fail?", "diagnose", {"run": "r12"}),
    ("why did it stop?", "diagnose", {}),
    ("so why is it still waiting?", "diagnose", {}),
    ("why is gsm8k so low on prod?", "diagnose", {}),
    ("what went wrong with r12?", "diagnose", {"run": "r12"}),
    ("what happened to r1 and r2?", "diagnose", {"runs": ["r1", "r2"]}),
    ("diagnose r12", "diagnose", {"run": "r12"}),
    ("r12 为什么失败了", "diagnose", {"run": "r12"}),
    ("为什么停止了？", "diagnose", {}),
    ("怎么回事", "diagnose", {}),
    ("排查 r12", "diagnose", {"run": "r12"}),
    ("why: ValueError: x", "diagnose", {"error": "ValueError: x"}),
    ("why don't we use mmlu instead?", "none", {}),
    ("为什么不用更大的模型", "none", {}),
    ("why not evaluate prod on gsm8k?", "eval", ev("prod", "gsm8k")),
    ("evaluate prod on gsm8k and tell me why it is slow", "eval", ev("prod", "gsm8k")),
    ("headlines off", "headlines", {"on": False}),
    ("stop posting results in the channel", "headlines", {"on": False}),
    ("结果不要发到频道", "headlines", {"on": False}),
    ("打开频道播报", "headlines", {"on": True}),
    ("are headlines on?", "headlines", {}),
    ("重跑 r12，100 条，温度0.7", "rerun", {"run": "r12", "limit": 100, "generation_config": {"temperature": 0.7}}),
    ("", "none", {}),
    ("   \n\t ", "none", {}),
    ("evaluate prod on gsm8k every monday", "schedule", {"request": {"intent": "eval", "args": ev("prod", "gsm8k")}}),
    ("load test qwen-plus with 100 concurrency", "perf", {"model": "qwen-plus", "parallel": [100]}),
    ("对 qwen-plus 做压测", "perf", {"model": "qwen-plus"}),
]


@pytest.mark.parametrize(
    ("text", "requests"),
    [
        ("stop r1 and resume r2", [("cancel", {"run": "r1"}), ("resume", {"run": "r2"})]),
        ("取消 r1，继续 r2", [("cancel", {"run": "r1"}), ("resume", {"run": "r2"})]),
        ("cancel r1 and r2 and evaluate prod on gsm8k", [
            ("cancel", {"runs": ["r1", "r2"]}), ("eval", {"model": "prod", "datasets": ["gsm8k"]}),
        ]),
        ("logs of r1 and r2", [("logs", {"run": "r1"}), ("logs", {"run": "r2"})]),
        ("rerun r1 and r2, 5 samples", [("rerun", {"run": "r1", "limit": 5}), ("rerun", {"run": "r2", "limit": 5})]),
        ("/rerun r1 r2 limit=5", [("rerun", {"run": "r1", "limit": 5}), ("rerun", {"run": "r2", "limit": 5})]),
    ],
)  # fmt: skip
def test_several_requests_about_runs_in_one_sentence_are_all_read(
    text: str, requests: list[tuple[str, dict[str, Any]]]
) -> None:
    parsed = understand(text, VOCABULARY)
    assert [(one.intent, one.args) for one in (parsed, *parsed.more)] == requests


def test_a_model_whose_name_begins_with_a_keys_is_a_model() -> None:
    known = Vocabulary(catalog=snapshot(), models=frozenset({"prodkey", "prod-key"}), keys=frozenset({"prod"}))
    for name in known.models:
        assert understand(f"evaluate {name} on gsm8k", known).args == ev(name, "gsm8k")
    said = understand("evaluate prodkey on gsm8k with the prod key", known)
    assert said.args == ev("prodkey", "gsm8k", api_key_name="prod")


@pytest.mark.parametrize(("text", "args"), EVAL)
def test_an_evaluation_says(text: str, args: dict[str, Any]) -> None:
    parsed = ask(text)
    assert (parsed.intent, parsed.args, parsed.more) == ("eval", args, ())
    assert parsed.by == "grammar"
    assert ("datasets" in parsed.missing) == ("datasets" not in args)
    assert ("model" in parsed.missing) == (not {"model", "models"} & set(args))


@pytest.mark.parametrize(("text", "intent", "args"), OTHER)
def test_another_request_says(text: str, intent: str, args: dict[str, Any]) -> None:
    parsed = ask(text)
    assert (parsed.intent, parsed.args) == (intent, args)


@pytest.mark.parametrize(
    ("text", "requests"),
    [
        ("run gsm8k on prod; then show status", [("eval", ev("prod", "gsm8k")), ("status", {})]),
        ("run gsm8k on prod then mmlu", [("eval", ev("prod", "gsm8k", "mmlu"))]),
        ("用 gsm8k 评测 prod，然后看状态", [("eval", ev("prod", "gsm8k")), ("status", {})]),
        (
            "evaluate prod on gsm8k; evaluate qwen-max on mmlu",
            [("eval", ev("prod", "gsm8k")), ("eval", ev("qwen-max", "mmlu"))],
        ),
        (
            "evaluate prod on gsm8k\nstatus of r3\nlogs of r4",
            [("eval", ev("prod", "gsm8k")), ("status", {"run": "r3"}), ("logs", {"run": "r4"})],
        ),
        ("evaluate prod on gsm8k, then deploy it", [("eval", ev("prod", "gsm8k"))]),
        ("evaluate prod on gsm8k. Use 50 samples.", [("eval", ev("prod", "gsm8k", limit=50))]),
    ],
)
def test_one_message_can_hold_several_requests(text: str, requests: list[tuple[str, dict[str, Any]]]) -> None:
    parsed = ask(text)
    assert [(one.intent, one.args) for one in (parsed, *parsed.more)] == requests


@pytest.mark.parametrize(
    ("text", "name", "reason"),
    [
        ("evaluate prod on gsm8k with key sk-proj-abcdefgh12345678", "api_key", "refused.api_key"),
        ("evaluate prod on gsm8k, api_key=abcdef", "api_key", "refused.api_key"),
        ("evaluate prod on gsm8k with work_dir=/tmp/x", "work_dir", "refused.managed"),
        ("evaluate prod on gsm8k, temperature 9, repeat 9999 times", "repeats", "refused.value"),
        ("evaluate prod on gsm8k, eval_type=custom", "eval_type", "refused.eval_type"),
    ],
)
def test_what_may_not_come_from_chat_is_refused(text: str, name: str, reason: str) -> None:
    parsed = ask(text)
    assert (name, reason) in {(entry.name, entry.reason) for entry in parsed.refused}
    assert name not in parsed.args
    assert "sk-proj" not in parsed.model_dump_json()


def test_a_judge_is_not_taken_for_a_model() -> None:
    judged = ask("evaluate prod on gsm8k with gpt-4o as the judge")
    assert judged.args == ev("prod", "gsm8k", judge={"model": "gpt-4o"})


@pytest.mark.parametrize("intent", understood().values(), ids=lambda intent: intent.name)
def test_every_example_is_its_intent(intent: Any) -> None:
    for sentences in intent.examples.values():
        for sentence in sentences:
            parsed = ask(sentence)
            assert (parsed.intent, parsed.missing, parsed.refused) == (intent.name, (), ()), sentence


def test_a_thread_of_a_run_answers_which_run() -> None:
    assert ask("status", thread_run="r12").args == {"run": "r12"}
    assert ask("日志", thread_run="r12").args == {"run": "r12"}
    assert ask("results on gsm8k", thread_run="r12").args == {"datasets": ["gsm8k"]}
    assert ask("status of r3", thread_run="r12").args == {"run": "r3"}
    assert ask("evaluate prod on gsm8k", thread_run="r12").args == ev("prod", "gsm8k")


def check(parsed: Parsed) -> None:
    known = understood()
    for request in (parsed, *parsed.more):
        assert request.intent == "none" or request.intent in known
        if request.intent != "none":
            known[request.intent].args.model_validate(request.args)
            assert not set(request.args) & {entry.name for entry in request.refused}
    assert Parsed.model_validate_json(parsed.model_dump_json()).model_dump() == parsed.model_dump()


WORDS = st.sampled_from(
    [
        "evaluate",
        "run",
        "test",
        "on",
        "with",
        "qwen-plus",
        "gsm8k",
        "mmlu",
        "100",
        "samples",
        "一百",
        "条",
        "用",
        "评测",
        "prod",
        "not",
        "then",
        ";",
        ",",
        "no",
        "wait",
        "10%",
        "half",
        "r12",
        "status",
        "results",
        "/eval",
        "/status",
        "limit=5",
        "temperature",
        "0.7",
        "5-shot",
        "subset",
        "然后",
        "evalscope",
        "eval",
        "--model",
        "--datasets",
        "--limit",
        "--api-key",
        "sk-ant-abc123",
        "'",
        '"',
        "`",
        "$",
        "{",
        "}",
        "[",
        "]",
        "=",
        "@",
        "\n",
        "key",
        "last",
        "5",
        "a",
        "hundred",
        "the",
        "suite",
        "general",
        "http://a.b/c",
        "--generation-config",
        "--dataset-args",
        '{"a":1}',
        "seed=-1",
        "<@U1>",
        "&lt;",
        "run",
        "12",
        "judge",
        "sandbox",
        "every",
        "monday",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_understood_without_an_error(text: str) -> None:
    check(ask(text))


@settings(max_examples=600, deadline=None)
@given(st.lists(WORDS, max_size=25).map(" ".join))
def test_any_mix_of_its_words_is_understood_without_an_error(text: str) -> None:
    parsed = ask(text)
    check(parsed)
    assert ask(text) == parsed


@pytest.mark.parametrize(
    "unit",
    [
        "a", "a ", "1 ", "1% ", "{", "[", "'", '"', "`", "$", "evaluate ", "evaluate qwen-plus on gsm8k; ",
        "not ", "一", "百分之", "用", "x=1 ", "a_-", "/", "a/b-1 ", "no wait 5 ", "subset and ", "the ", "on the ",
        "twenty ", "http://", "<@", "&lt;", "sk-", "eyJ", "- ", "\\", "\n", "then ",
        "evalscope eval --model a\n", "5 a ", "1,", "1.", "and a, ", "as judge ", "with a as ", "last ",
        "run 1 ", "api key ", "bearer ", "secret ", "max ", "\u3000", ". ",
    ],
)  # fmt: skip
@pytest.mark.parametrize("prefix", ["", "evaluate prod on mmlu ", "/eval ", "evalscope eval --dataset-args "])
def test_the_time_of_a_long_text_grows_with_its_length_and_no_faster(unit: str, prefix: str) -> None:
    text = prefix + unit * (6_000 // len(unit))
    started = time.thread_time()
    check(ask(text))
    assert time.thread_time() - started < 2  # also where its lines are counted; a quadratic one takes far longer


@pytest.mark.parametrize(
    ("text", "requests"),
    [
        (
            "prod 跑 gsm8k 20 条，qwen-plus 跑 ceval 50 条",
            [("eval", ev("prod", "gsm8k", limit=20)), ("eval", ev("qwen-plus", "ceval", limit=50))],
        ),
        (
            "evaluate prod on gsm8k, 20 samples, then stress test it with concurrency 4",
            [("eval", ev("prod", "gsm8k", limit=20)), ("perf", {"model": "prod", "parallel": [4]})],
        ),
        (
            "explain mbpp, then run it on prod with 15 samples",
            [("benchmarks", {"name": "mbpp"}), ("eval", ev("prod", "mbpp", limit=15))],
        ),
        ("r13 取消掉，r14 从断点接着跑", [("cancel", {"run": "r13"}), ("resume", {"run": "r14"})]),
        (
            "redo r55 with 100 samples and stop r56",
            [("rerun", {"run": "r55", "limit": 100}), ("cancel", {"run": "r56"})],
        ),
        ("qwen-plus 的代码能力怎么样？拿 mbpp 抽两成测测", [("eval", ev("qwen-plus", "mbpp", limit=0.2))]),
        ("怎么用？给个说明", [("help", {})]),
    ],
)
def test_what_belongs_together_stays_together_and_what_does_not_is_cut(
    text: str, requests: list[tuple[str, dict[str, Any]]]
) -> None:
    parsed = ask(text)
    assert [(one.intent, one.args) for one in (parsed, *parsed.more)] == requests
    assert all(not one.missing for one in (parsed, *parsed.more))


def test_what_somebody_quotes_is_not_asked_for() -> None:
    assert ask("what do you make of this?\n> evaluate prod on mmlu").intent == "none"
    assert ask("please do\n> evaluate prod on mmlu\ncancel r3").args == {"run": "r3"}
    assert ask("> evaluate prod on mmlu").intent == "eval"


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("how do I run a stress test?", None), ("怎么压测", "perf"), ("schedule 怎么用？", "schedule"),
        ("如何查看结果", "results"), ("how can I see what is running?", "status"),
    ],
)  # fmt: skip
def test_a_question_how_a_thing_is_done_is_no_request_for_it(text: str, about: str | None) -> None:
    parsed = ask(text)
    assert parsed.intent == "help"
    assert about is None or parsed.args == {"about": about}


@pytest.mark.parametrize(
    "text", ["昨天那个 mmlu 跑了一整晚", "thanks, that gsm8k run was super helpful!", "gsm8k is a really old benchmark"]
)
def test_what_is_told_of_a_run_or_a_benchmark_starts_none(text: str) -> None:
    assert ask(text).intent == "none"


@pytest.mark.parametrize(
    ("text", "args"),
    [
        (
            "there is a box at http://10.2.0.14:8000/v1 serving my-lora, check its ifeval, 10 samples",
            {"model": "my-lora"},
        ),
        ("http://10.0.0.5/v1 上的 chat-v2，评一下 ifeval", {"model": "chat-v2"}),
        ("evaluate chat-v2 at http://10.0.0.5/v1 on ifeval", {"model": "chat-v2"}),
        ("evaluate prod on gsm8k with a timeout of 2 minutes", {"timeout": 120}),
        ("evaluate prod on gsm8k, no examples in the prompt", {"dataset_args": {"gsm8k": {"few_shot_num": 0}}}),
        ("evaluate prod on gsm8k without streaming", {"stream": False}),
        (
            "evaluate prod on gsm8k, gpt-4o as the judge, judge strategy llm",
            {"judge": {"model": "gpt-4o", "strategy": "llm"}},
        ),
        ("evaluate prod on gsm8k on two h100s", {"gpu": {"gpus": 2, "name": "h100"}}),
        ("evaluate prod on gsm8k, reuse the answers of r12", {"use_cache": "r12"}),
        ("evaluate prod on gsm8k and append an analysis report", {"analysis_report": True}),
        ("evaluate prod on gsm8k in the sandbox", {"sandbox": True}),
        ("evaluate prod through the Responses API on gsm8k", {"eval_type": "openai_responses_api"}),
    ],
)
def test_an_evaluations_rarer_settings_are_read(text: str, args: dict[str, Any]) -> None:
    parsed = ask(text)
    assert parsed.intent == "eval"
    assert {name: parsed.args.get(name) for name in args} == args
