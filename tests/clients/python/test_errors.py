"""Errors: the right class, all four fields, and what the client does by itself."""

from unittest import mock

import openai

from common import ASK, Case

WAITS = "openai._base_client.time.sleep"


class Errors(Case):
    def fails(self, kind, model="mock", client=None, **more):
        with self.assertRaises(kind) as raised:
            self.chat(model, client, **more)
        error = raised.exception
        # Exactly this class: RateLimitError is an APIStatusError, but not every one of those is a RateLimitError.
        self.assertIs(type(error), kind)
        return error

    def test_a_wrong_key(self):
        error = self.fails(openai.AuthenticationError, client=self.client.with_options(api_key="nobody's"))
        self.assertEqual((error.status_code, error.code, error.type), (401, "invalid_api_key", "invalid_request_error"))
        self.assertNotIn("nobody's", str(error))

    def test_a_model_that_is_not_there(self):
        error = self.fails(openai.NotFoundError, "nobody")
        self.assertEqual((error.code, error.param, error.type), ("model_not_found", "model", "invalid_request_error"))
        self.assertIn("nobody", error.message)

    def test_a_model_that_is_not_allowed(self):
        error = self.fails(openai.PermissionDeniedError, "careful", self.of("held"))
        self.assertEqual(error.code, "permission_denied")

    def test_a_request_that_the_proxy_refuses(self):
        error = self.fails(openai.BadRequestError, "embedding")
        self.assertEqual((error.param, error.code), ("model", "invalid_value"))
        self.assertEqual(error.response.headers["x-tasklane-code"], "TL2302")

    def test_a_request_that_the_provider_refuses(self):
        for stream in [False, True]:
            with self.subTest(stream=stream):
                error = self.fails(openai.BadRequestError, "refused", stream=stream)
                self.assertEqual(
                    (error.param, error.code, error.type, error.body["message"]),
                    ("messages", "context_length_exceeded", "invalid_request_error", "too long"),
                )
                self.assertNotIn("x-tasklane-code", error.response.headers)

    def test_a_url_that_is_not_there(self):
        with self.assertRaises(openai.NotFoundError) as raised:
            self.client.post("/nonsense", body={}, cast_to=object)
        self.assertEqual(raised.exception.code, "unknown_url")

    def test_a_provider_that_fails(self):
        error = self.fails(openai.InternalServerError, "mock-500-9999")
        self.assertEqual((error.status_code, error.code), (500, "scripted_500"))

    def test_a_provider_that_is_silent(self):
        for stream in [False, True]:
            with self.subTest(stream=stream):
                error = self.fails(openai.InternalServerError, "mock-hang-before", stream=stream)
                self.assertEqual((error.status_code, error.code), (504, "timeout"))

    def test_a_provider_that_talks_nonsense(self):
        error = self.fails(openai.InternalServerError, "mock-wrong-json")
        self.assertEqual((error.status_code, error.code), (502, "bad_gateway"))

    def test_a_client_that_does_not_wait(self):
        self.fails(openai.APITimeoutError, "mock-hang-before", self.client.with_options(timeout=0.3))

    def test_an_error_in_mid_stream_is_raised(self):
        said = []
        with self.assertRaises(openai.APIError) as raised:
            for chunk in self.chat("mock-error-middle", stream=True):
                said.append(chunk)
        self.assertGreater(len(said), 0)
        self.assertIn("the script says so", raised.exception.message)

    def test_a_stream_that_breaks_off_is_no_answer(self):
        for model in ["mock-close-middle", "mock-hang-middle"]:
            with self.subTest(model), self.assertRaises(openai.APIError) as raised:
                list(self.chat(model, stream=True))
            self.assertIn("broke off", raised.exception.message)


class Retries(Case):
    def test_a_limit_of_ours_says_when_to_come_back(self):
        client = self.of("narrow")
        for _ in range(2):
            self.chat(client=client)
        with self.assertRaises(openai.RateLimitError) as raised:
            self.chat(client=client)
        error = raised.exception
        self.assertEqual((error.code, error.type), ("rate_limit_exceeded", "rate_limit_exceeded"))
        wait = int(error.response.headers["retry-after-ms"])
        self.assertTrue(0 < wait <= 62_000, wait)
        # Where that is soon enough a client that retries waits as long as it is told; else it does not retry.
        with mock.patch(WAITS) as slept, self.assertRaises(openai.RateLimitError):
            self.chat(client=client.with_options(max_retries=1))
        for call in slept.call_args_list:
            self.assertTrue(0 < call.args[0] <= wait / 1000, (call, wait))
        if error.response.headers["x-should-retry"] == "false":
            slept.assert_not_called()

    def test_a_budget_that_is_spent_is_not_asked_again(self):
        client = self.of("poor", max_retries=2)
        with mock.patch(WAITS) as slept, self.assertRaises(openai.RateLimitError) as raised:
            for _ in range(50):
                self.chat(client=client)
        self.assertEqual((raised.exception.code, raised.exception.type), ("insufficient_quota", "insufficient_quota"))
        self.assertGreater(int(raised.exception.response.headers["retry-after"]), 0)
        slept.assert_not_called()

    def test_what_the_provider_says_of_waiting_reaches_the_client(self):
        with mock.patch(WAITS) as slept, self.assertRaises(openai.RateLimitError) as raised:
            self.chat("mock-429-ms", self.client.with_options(max_retries=2))
        self.assertEqual(raised.exception.response.headers["retry-after-ms"], "100")
        self.assertEqual([call.args[0] for call in slept.call_args_list], [0.1, 0.1])

    def test_a_provider_that_forbids_to_retry_is_obeyed(self):
        with mock.patch(WAITS) as slept, self.assertRaises(openai.RateLimitError):
            self.chat("mock-429-never", self.client.with_options(max_retries=2))
        slept.assert_not_called()

    def test_what_passes_is_retried_until_it_is_good(self):
        # The proxy asks three times, the client comes once more.
        create = self.client.with_options(max_retries=1).chat.completions.with_raw_response.create
        answer = create(model="mock-500-3", messages=ASK)
        self.assertEqual((answer.status_code, answer.retries_taken), (200, 1))
