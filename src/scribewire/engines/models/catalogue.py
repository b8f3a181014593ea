"""The models that can be pulled by name: where each lies, and which checksums are public.

Every address is in its project's public documentation or in the packages of several independent projects. A checksum
is here when it is public as well: in the release's checksum list, in the hub's pointer to the file, or the same in
several such packages. Where there is none, the first pull is trusted and recorded.
"""

from __future__ import annotations

from typing import Final

from scribewire.engines.models.model import File, Model


def find(name: str) -> Model | None:
    """Find a row by its name."""
    return next((model for model in CATALOGUE if model.name == name), None)


def find_archive(file_name: str) -> Model | None:
    """Find the row that comes as an archive of this name."""
    return next((model for model in CATALOGUE if model.archived and model.files[0].name == file_name), None)


def _sherpa(
    name: str, languages: str, licence: str, page: str, archive: str, size_bytes: int, sha256: str | None
) -> Model:
    releases = "https://github.com/k2-fsa/sherpa-onnx/releases/download/asr-models"
    file = File(f"{releases}/sherpa-onnx-{archive}.tar.bz2", size_bytes, sha256)
    return Model(name, "sherpa", tuple(languages.split()), licence, page, (file,))


def _kroko(language: str, size_bytes: int, sha256: str) -> Model:
    archive = f"streaming-zipformer-{language}-kroko-2025-08-06"
    page = "https://huggingface.co/Banafo/Kroko-ASR"
    return _sherpa(f"kroko-{language}", language, "CC-BY-SA-4.0", page, archive, size_bytes, sha256)


def _vosk(name: str, language: str, archive: str, size_bytes: int, sha256: str | None = None) -> Model:
    site = "https://alphacephei.com/vosk/models"
    file = File(f"{site}/vosk-model-{archive}.zip", size_bytes, sha256)
    return Model(name, "vosk", (language,), "Apache-2.0", site, (file,))


def _vosk_small(language: str, version: str, size_bytes: int, sha256: str) -> Model:
    return _vosk(f"vosk-small-{language}", language, f"small-{language}-{version}", size_bytes, sha256)


def _whisper(name: str, languages: str, repository: str, commit: str, *files: tuple[str, int, str]) -> Model:
    # A commit, not a branch: what a branch names may change, and its checksums with it.
    hub = f"https://huggingface.co/Systran/{repository}"
    rows = tuple(File(f"{hub}/resolve/{commit}/{file}", size_bytes, sha256) for file, size_bytes, sha256 in files)
    return Model(name, "whisper", tuple(languages.split()), "MIT", hub, rows)


_DOCS = "https://k2-fsa.github.io/sherpa/onnx"
_ZIPFORMERS = f"{_DOCS}/pretrained_models/online-transducer/zipformer-transducer-models.html"
_FAST_CONFORMER = "https://huggingface.co/nvidia/stt_en_fastconformer_hybrid_large_streaming_multi"

# Whisper's tokenizer and vocabulary up to large-v2, and from large-v3 on.
_TOKENIZER = ("tokenizer.json", 2_203_239, "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab")
_VOCABULARY = ("vocabulary.txt", 459_861, "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913")
_V3 = (
    ("preprocessor_config.json", 340, "7ccc62c6f2765af1f3b46c00c9b5894426835a05021c8b9c01eecb6dfb542711"),
    ("tokenizer.json", 2_480_617, "6d8cbd7cd0d8d5815e478dac67b85a26bbe77c1f5e0c6d76d1ce2abc0e5f21ca"),
    ("vocabulary.json", 1_068_114, "c69260f2ab26d659b7c398f9a2b2b48ed0df16c3b47d7326782fd9cba71690c1"),
)

CATALOGUE: Final = (
    _sherpa(
        "zipformer-en",
        "en",
        "Apache-2.0",
        _ZIPFORMERS,
        "streaming-zipformer-en-2023-06-26",
        310_414_022,
        "639e25b578e9e997131402199419c13a941f8e4e198e2da1ce57dbf5cf401282",
    ),
    _sherpa(
        "zipformer-en-20m",
        "en",
        "Apache-2.0",
        _ZIPFORMERS,
        "streaming-zipformer-en-20M-2023-02-17",
        127_887_156,
        "9c559283e8498d3fe95913c79ca1cb454bb26281ac2b102b41306c7d752765d9",
    ),
    _sherpa(
        "zipformer-fr",
        "fr",
        "not stated",
        _ZIPFORMERS,
        "streaming-zipformer-fr-2023-04-14",
        398_444_115,
        "77d4cbd61dcfa55fd2c14efc0ce5c6798be5931c05f35df5bab60c921950bb8c",
    ),
    _kroko("en", 57_267_600, "c8676e5ff9ac2a85296e53ee0fd4d5fb1db6770e7a7647166eeafe349ade6834"),
    _kroko("de", 57_565_698, "9e27b783c20e67b0d0f13a258c1861fce199917c969d9176a438bee38df64962"),
    _kroko("es", 124_394_665, "31b2230a95d23290b308b393da930015a4b2105cb3abb9367aed35f7fcf29cf1"),
    _kroko("fr", 57_220_361, "e6ffd3dc43725cd6c8137b05c739f15607d0df946b9b90eb141e10059efca024"),
    _sherpa(
        "nemo-en-80ms",
        "en",
        "CC-BY-4.0",
        _FAST_CONFORMER,
        "nemo-streaming-fast-conformer-transducer-en-80ms-int8",
        102_813_625,
        "7bd33a914e93370a1ba9c2066d9e841bdcad8613fa2a00537c1ae15d851a14d8",
    ),
    _sherpa(
        "nemotron-en-560ms",
        "en",
        "NVIDIA Open Model",
        f"{_DOCS}/nemo/nemotron-streaming.html",
        "nemotron-speech-streaming-en-0.6b-560ms-int8-2026-04-25",
        463_945_051,
        "78e2b79fcf7271553a74402a76b771b09ea40117a39566a79f52235b23db6358",
    ),
    _sherpa(
        "zipformer-ctc-zh",
        "zh",
        "not stated",
        f"{_DOCS}/pretrained_models/online-ctc/zipformer-ctc-models.html",
        "streaming-zipformer-ctc-zh-int8-2025-06-30",
        127_965_713,
        "f2ab7a5deb02717801f6a5b26c751b42f8a2db891b07f5b095e6da7442081448",
    ),
    _sherpa(
        "paraformer-zh-en",
        "zh en",
        "FunASR Model License",
        f"{_DOCS}/pretrained_models/online-paraformer/paraformer-models.html",
        "streaming-paraformer-bilingual-zh-en",
        1_047_319_737,
        "5462a1fce42693deae572af1e8c4687124b12aa85fe61ff4d3168bb5280e205f",
    ),
    _vosk_small("en", "us-0.15", 41_205_931, "30f26242c4eb449f948e42cb302dd7a686cb29a3423a8367f99ff41780942498"),
    _vosk_small("de", "0.15", 46_499_967, "b7e53c90b1f0a38456f4cd62b366ecd58803cd97cd42b06438e2c131713d5e43"),
    _vosk_small("es", "0.42", 39_817_833, "09b239888f633ef2f0b4e09736e3d9936acfd810bc65d53fad45261762c6511f"),
    _vosk_small("fr", "0.22", 42_233_323, "cabf6180e177eb9b3a9a9d43a437bd5e549f3a7d09525e5d69a3fed787be12ad"),
    _vosk_small("it", "0.22", 49_665_141, "9ec65e75861d1c6c2e457cccd932705340dcdf233f5b239f00733b4de0bf3267"),
    _vosk_small("ru", "0.22", 46_236_750, "961d5ff98a17f4aa6de69864d0aa71fa5bac682301d2b5d17a3f24c5c99a46d4"),
    _vosk("vosk-en-lgraph", "en", "en-us-0.22-lgraph", 128_000_000),
    _vosk("vosk-en", "en", "en-us-0.22", 1_800_000_000),
    _whisper(
        "whisper-tiny",
        "",
        "faster-whisper-tiny",
        "d90ca5fe260221311c53c58e660288d3deb8d356",
        ("config.json", 2_249, "a73a28cdfe1c43ccc7202fa333d1f89c202477271407ae9a7f19afa52039cac8"),
        ("model.bin", 75_538_270, "dcb76c6586fc06cbdac6dd21f14cfd129cc4cdd9dce19bf4ffa62e59cbe6e6d1"),
        _TOKENIZER,
        _VOCABULARY,
    ),
    _whisper(
        "whisper-base",
        "",
        "faster-whisper-base",
        "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66",
        ("config.json", 2_309, "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"),
        ("model.bin", 145_217_532, "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"),
        _TOKENIZER,
        _VOCABULARY,
    ),
    _whisper(
        "whisper-small",
        "",
        "faster-whisper-small",
        "536b0662742c02347bc0e980a01041f333bce120",
        ("config.json", 2_370, "b55496ac7940a7ae47d2c01eab40edfd8701feec1229d9cce3b40014383fb828"),
        ("model.bin", 483_546_902, "3e305921506d8872816023e4c273e75d2419fb89b24da97b4fe7bce14170d671"),
        _TOKENIZER,
        _VOCABULARY,
    ),
    _whisper(
        "whisper-medium",
        "",
        "faster-whisper-medium",
        "08e178d48790749d25932bbc082711ddcfdfbc4f",
        ("config.json", 2_257, "3622a2ddc41ec0e0fd4e68c13c6830f03b90c38d89aaad184de02c8c642cf807"),
        ("model.bin", 1_527_906_378, "9b45e1009dcc4ab601eff815b61d80e60ce3fd8c74c1a14f4a282258286b51ae"),
        _TOKENIZER,
        _VOCABULARY,
    ),
    _whisper(
        "whisper-large-v3",
        "",
        "faster-whisper-large-v3",
        "edaa852ec7e145841d8ffdb056a99866b5f0a478",
        ("config.json", 2_394, "a9306624f5ec14270a014b647e5c316b6e03a662c369758d1b90697a7b0655b9"),
        ("model.bin", 3_087_284_237, "69f74147e3334731bc3a76048724833325d2ec74642fb52620eda87352e3d4f1"),
        *_V3,
    ),
    _whisper(
        "whisper-distil-large-v3",
        "en",
        "faster-distil-whisper-large-v3",
        "c3058b475261292e64a0412df1d2681c06260fab",
        ("config.json", 2_690, "90c55f775cc4e0bb17293d0bf12f96557a486f20dea886fabd8e6075a3588b21"),
        ("model.bin", 1_512_927_867, "b79368e19b6623813609431a6e5ee309a71506701ebc49fd7820e692dec7c5f5"),
        *_V3,
    ),
)
