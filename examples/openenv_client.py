"""Play an environment through OpenEnv's own client, alone and as an environment of TRL's GRPOTrainer.

ssl4rl serve Rotation --prompt-style tool &
python examples/openenv_client.py http://127.0.0.1:8000
"""

import base64
import io
import random
import sys

from openenv.core import GenericEnvClient
from PIL import Image

URL = "http://127.0.0.1:8000"


def play(url=URL, episodes=20, seed=0):
    """Answer at random, and return the mean reward."""
    guess, total = random.Random(seed), 0.0
    with GenericEnvClient(base_url=url).sync() as client:
        for index in range(episodes):
            result = client.reset(seed=seed, index=index)
            while not result.done:
                choices = result.observation["choices"]
                words = guess.sample(choices["labels"], choices["slots"])
                result = client.step({"reply": {"answer": ", ".join(words)}})
                total += result.reward
    return total / episodes


class Question:
    """An environment of TRL's `environment_factory`: a session on the server, and two tools.

    Rows of the training set may name questions by columns `seed` and `index`; then all of a group get the same one.
    """

    url = URL

    def __init__(self):
        self.client = GenericEnvClient(base_url=self.url).sync()
        self.observation, self.done, self.reward = {}, True, 0.0

    def reset(self, seed=None, index=None, **_):
        chosen = {name: value for name, value in (("seed", seed), ("index", index)) if value is not None}
        result = self.client.reset(**chosen)
        self.observation, self.done, self.reward = result.observation, False, 0.0
        return self.observation["prompt"]

    def look(self) -> list:
        """
        Look at the pictures of the question.

        Returns:
            The pictures, in the order in which the question speaks of them.
        """
        pictures = [Image.open(io.BytesIO(base64.b64decode(data))) for data in self.observation["images"]]
        return [{"type": "image", "image": picture} for picture in pictures] + [{"type": "text", "text": "The pictures."}]

    def answer(self, answer: str) -> str:
        """
        Answer the question.

        Args:
            answer: The answer, in the words of the question; several values with commas between them.

        Returns:
            What came of it.
        """
        if self.done:
            raise ValueError("The question is answered already.")
        result = self.client.step({"reply": {"answer": answer}})
        self.reward, self.done = self.reward + result.reward, result.done
        self.observation = result.observation if not self.done else self.observation
        if self.done:
            return "Thank you."
        return self.observation["prompt"]

    def get_reward(self) -> float:
        return self.reward


if __name__ == "__main__":
    print(f"mean reward of random answers: {play(*sys.argv[1:2]):.2f}")
