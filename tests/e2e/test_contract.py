"""The data plane's contract, row by row, on the real service."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from service import Service
from tests.e2e.conftest import Clip
from tests.e2e.words import share_right
from wire import Talk, transcribe

pytestmark = pytest.mark.e2e

V2 = "/v2/realtime"


async def open_v2(service: Service, query: str = "") -> Talk:
    """Open a session with the first key."""
    return await Talk.open(service.socket_url + V2 + query, service.key)


# --- who may come in -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["x-zoom-s2t-key", "x-api-key", "api-key"])
async def test_a_key_is_taken_from_each_header(service: Service, header: str) -> None:
    talk = await Talk.open(service.socket_url + V2, headers={header: service.key})
    await talk.start()
    await talk.stop()


async def test_a_key_is_taken_from_authorization_from_the_query_and_from_start(service: Service) -> None:
    bearer = await Talk.open(service.socket_url + V2, headers={"Authorization": f"Bearer {service.key}"})
    query = await Talk.open(f"{service.socket_url}{V2}?token={service.key}")
    for talk in (bearer, query):
        await talk.start()
        await talk.stop()
    start = await Talk.open(service.socket_url + V2)
    await start.start(key=service.key)
    await start.stop()


async def test_a_bad_key_is_refused_at_the_upgrade_with_the_contracts_body(service: Service) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        await connect(service.socket_url + V2, additional_headers={"x-zoom-s2t-key": "sw_wrong"})
    assert refusal.value.response.status_code == 401
    assert refusal.value.response.body == b'{"detail":"Not authenticated"}'


async def test_a_key_without_the_scope_is_refused_at_the_upgrade(service: Service) -> None:
    made = service.call("POST", "/api/v4/keys", json={"name": "admin only", "scopes": ["admin"]}).json()
    with pytest.raises(InvalidStatus) as refusal:
        await connect(service.socket_url + V2, additional_headers={"x-zoom-s2t-key": made["key"]})
    assert refusal.value.response.status_code == 403
    assert refusal.value.response.body == b'{"detail":"Not enough permissions"}'


async def test_a_browser_with_a_bad_token_is_told_in_the_socket(service: Service) -> None:
    talk = await Talk.open(f"{service.socket_url}{V2}?token=sw_wrong", headers={"Origin": "https://example.org"})
    heard = await talk.ended()
    assert [message for _, message in heard.messages] == [{"error": "Not authenticated", "code": "not_authenticated"}]
    assert heard.close_code == 1008


@pytest.mark.parametrize("options", [{}, {"key": "sw_wrong"}])
async def test_a_start_without_a_good_key_ends_the_session(service: Service, options: dict[str, str]) -> None:
    talk = await Talk.open(service.socket_url + V2)
    await talk.say(action="start", **options)
    heard = await talk.ended()
    assert heard.errors[0]["code"] == "not_authenticated"
    assert heard.close_code == 1008


@pytest.mark.parametrize(("query", "code"), [("?language=xx", "unknown_language"), ("?type=best", "unknown_type")])
async def test_an_unknown_language_or_type_ends_the_session(service: Service, query: str, code: str) -> None:
    talk = await open_v2(service, query)
    await talk.say(action="start")
    heard = await talk.ended()
    assert heard.errors[0]["code"] == code
    assert heard.close_code == 1008


@pytest.mark.parametrize("language", ["en", "EN", "en-US", "en_GB"])
async def test_a_language_is_found_by_its_primary_subtag(service: Service, language: str) -> None:
    talk = await open_v2(service, f"?language={language}&unknown=1")
    await talk.start()
    await talk.stop()


async def test_a_revoked_key_ends_its_live_session_within_five_seconds(service: Service) -> None:
    made = service.call("POST", "/api/v4/keys", json={"name": "short-lived", "scopes": ["realtime"]}).json()
    talk = await Talk.open(service.socket_url + V2, made["key"])
    await talk.start()
    assert service.call("DELETE", f"/api/v4/keys/{made['id']}").status_code in (200, 204)
    heard = await talk.ended(within_s=5)
    assert heard.errors[0]["code"] == "not_authenticated"
    assert heard.close_code == 1008


async def test_a_key_has_no_more_sessions_than_it_may(service: Service) -> None:
    body = {"name": "one at a time", "scopes": ["realtime"], "max_sessions": 1}
    made = service.call("POST", "/api/v4/keys", json=body).json()
    first = await Talk.open(service.socket_url + V2, made["key"])
    await first.start()
    with pytest.raises(InvalidStatus) as refusal:
        await connect(service.socket_url + V2, additional_headers={"x-zoom-s2t-key": made["key"]})
    assert refusal.value.response.status_code == 429
    assert "retry-after" in refusal.value.response.headers
    unauthenticated = await Talk.open(service.socket_url + V2)
    await unauthenticated.say(action="start", key=made["key"])
    heard = await unauthenticated.ended()
    assert heard.errors[0]["code"] == "session_limit"
    assert heard.errors[0]["retry_after"] >= 1
    assert heard.close_code == 1013
    await first.stop()


async def test_the_fetching_path_says_that_it_is_not_available(service: Service) -> None:
    talk = await Talk.open(f"{service.socket_url}/v2/client/{service.key}?url=http://127.0.0.1/x.wav")
    heard = await talk.ended()
    assert heard.errors[0]["code"] == "not_available"


# --- what may be said ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["nonsense", "[]", "{}", '{"action":"dance"}', '{"action":"flush","id":{}}'])
async def test_a_bad_message_is_answered_and_the_session_goes_on(service: Service, text: str) -> None:
    talk = await open_v2(service)
    await talk.start()
    await talk.socket.send(text)
    assert (await talk.until("error"))["code"] == "bad_message"
    assert (await talk.stop()).close_code == 1000


async def test_twenty_bad_messages_end_the_session(service: Service) -> None:
    talk = await open_v2(service)
    await talk.start()
    for _ in range(20):
        await talk.socket.send("nonsense")
    assert (await talk.ended()).close_code == 1008


async def test_a_stop_before_start_is_answered(service: Service) -> None:
    heard = await (await open_v2(service)).stop()
    assert [message for _, message in heard.messages] == [{"state": "stopped"}]
    assert heard.close_code == 1000


async def test_a_second_start_is_refused_and_the_session_goes_on(service: Service, clips: dict[str, Clip]) -> None:
    clip = clips["rms-train"]
    talk = await open_v2(service)
    await talk.start()
    await talk.say(action="start")
    assert (await talk.until("error"))["code"] == "bad_message"
    await talk.send(clip.pcm, pace=4)
    assert share_right(clip.text, (await talk.stop()).text) >= 0.9


async def test_a_start_after_stop_is_refused_after_the_finals(service: Service, clips: dict[str, Clip]) -> None:
    talk = await open_v2(service)
    await talk.start()
    await talk.send(clips["rms-train"].pcm, pace=None)
    await talk.say(action="stop")
    await talk.say(action="start")
    heard = await talk.ended()
    assert heard.finals
    assert heard.states == ["listening", "stopped"]
    assert heard.messages[-1][1] == {"state": "stopped"}
    assert heard.close_code == 1008


async def test_a_frame_over_one_mebibyte_closes_with_1009(service: Service) -> None:
    talk = await open_v2(service)
    await talk.start()
    await talk.socket.send(bytes(1024 * 1024 + 1))
    assert (await talk.ended()).close_code == 1009


async def test_a_wav_header_of_another_rate_is_refused_in_a_sentence(service: Service) -> None:
    talk = await open_v2(service)
    await talk.start()
    fmt = b"fmt \x10\x00\x00\x00\x01\x00\x02\x00\x44\xac\x00\x00\x10\xb1\x02\x00\x04\x00\x10\x00"
    await talk.socket.send(b"RIFF\xff\xff\xff\xffWAVE" + fmt + b"data\xff\xff\xff\xff" + bytes(100))
    heard = await talk.ended()
    assert heard.errors[0]["code"] == "unsupported_audio"
    assert "44100 Hz" in heard.errors[0]["error"]
    assert heard.close_code == 1003


async def test_finals_do_not_depend_on_how_the_audio_is_framed(service: Service, clips: dict[str, Clip]) -> None:
    pcm = clips["rms-pauses"].pcm
    url = service.socket_url + V2
    runs = await asyncio.gather(
        transcribe(url, service.key, pcm, pace=None, frame_ms=1000),
        transcribe(url, service.key, pcm, pace=4, frame_ms=20),
        transcribe(url, service.key, pcm, pace=None, frame_ms=333 / 32),  # odd counts of bytes
    )
    assert [run.finals for run in runs[1:]] == [runs[0].finals] * 2
    assert len(runs[0].finals) >= 2


async def test_a_flush_is_answered_after_the_finals_it_caused(service: Service, clips: dict[str, Clip]) -> None:
    clip = clips["awb-weather"]
    talk = await open_v2(service)
    await talk.start()
    await talk.send(clip.pcm, pace=None)
    await talk.say(action="flush", id="first")
    await talk.until("flushed", "first")
    assert share_right(clip.text, talk.heard.text) >= 0.9
    await talk.send(clip.pcm, pace=None)
    heard = await talk.stop()
    assert share_right(f"{clip.text} {clip.text}", heard.text) >= 0.9


async def test_partial_false_sends_finals_only(service: Service, clips: dict[str, Clip]) -> None:
    talk = await open_v2(service)
    await talk.start(partial=False)
    await talk.send(clips["awb-weather"].pcm, pace=2)
    heard = await talk.stop()
    assert heard.finals
    assert not heard.partials


async def test_the_shape_may_be_asked_for_on_any_path(service: Service, clips: dict[str, Clip]) -> None:
    talk = await open_v2(service, "?shape=v1")
    await talk.start()
    await talk.send(clips["awb-weather"].pcm, pace=4)
    heard = await talk.stop()
    assert heard.finals[0].keys() == {"result", "speaker", "text"}


@pytest.mark.parametrize("kind", ["fast", "quality"])
async def test_times_and_confidences_are_ordered_and_real(service: Service, clips: dict[str, Clip], kind: str) -> None:
    clip = clips["rms-pauses"]
    talk = await open_v2(service, f"?type={kind}")
    await talk.start()
    await talk.send(clip.pcm, pace=4)
    heard = await talk.stop()
    length_ms = len(clip.pcm) // 32
    words: list[list[Any]] = [word for final in heard.finals for word in final["words"]]
    times = [time for _, start, end, _ in words for time in (start, end)]
    assert times == sorted(times)
    assert times[-1] <= length_ms
    assert all(0 <= confidence <= 1 for *_, confidence in words)
    assert len({confidence for *_, confidence in words}) > 3
    offsets = [m["offset_ms"] for _, m in heard.messages if "offset_ms" in m]
    assert offsets == sorted(offsets)
    assert offsets[-1] <= length_ms


@pytest.mark.parametrize("name", ["silence", "white-noise", "mains-hum"])
async def test_silence_and_noise_yield_nothing(service: Service, clips: dict[str, Clip], name: str) -> None:
    heard = await transcribe(service.socket_url + V2, service.key, clips[name].pcm, pace=None)
    assert [message for _, message in heard.messages[1:]] == [{"state": "stopped"}]


async def test_pings_are_answered_while_decoding(service: Service, clips: dict[str, Clip]) -> None:
    talk = await open_v2(service)
    await talk.start()
    # Faster than real time, and not so fast that pings wait behind minutes of audio in the socket.
    speaking = asyncio.create_task(talk.send(clips["rms-pauses"].pcm, pace=4, frame_ms=1000))
    for _ in range(5):
        await asyncio.wait_for(await talk.socket.ping(), 5)
        await asyncio.sleep(0.2)
    await speaking
    await talk.stop()


async def test_one_client_far_faster_than_real_time_loses_nothing(service: Service, clips: dict[str, Clip]) -> None:
    clip = clips["rms-train"]
    pause = bytes(32_000)
    heard = await transcribe(service.socket_url + V2, service.key, (clip.pcm + pause) * 3, pace=None, frame_ms=1000)
    assert share_right(" ".join([clip.text] * 3), heard.text) >= 0.9


async def test_answers_of_the_control_plane_have_exactly_four_keys(service: Service) -> None:
    for method, path in (("POST", "initialize"), ("GET", "status")):
        for base in ("/api/v4/realtime", "/v4/realtime"):
            answer = service.call(method, f"{base}/{path}").json()
            assert answer.keys() == {"status", "message", "ready", "endpoint"}
            assert answer["endpoint"] == service.socket_url + V2
            assert answer["status"] == "ready"
            assert json.dumps(answer["ready"]) == "true"
