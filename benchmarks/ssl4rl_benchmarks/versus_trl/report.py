"""Write the figures for people."""

from __future__ import annotations

from typing import Any

METHODS = {"gae": "PPO with a critic", "grpo": "GRPO", "dr_grpo": "Dr. GRPO", "rloo": "RLOO", "reinforce++": "REINFORCE++"}


def summary(result: dict[str, Any]) -> str:
    """Return what `measure` found in a few lines."""
    settings, update = result["settings"], result["update"]
    lines = [
        f"{settings['model']} on {result['machine']}: {settings['prompts']} questions x {settings['group']} answers a step"
    ]
    for side, figures in result["figures"].items():
        lines.append(
            f"{side:>4}: {figures['episodes']:.1f} episodes/s, {figures['generated']:,.0f} generated and "
            f"{figures['processed']:,.0f} processed tokens/s, peak memory {figures['memory']:,.0f} MiB"
        )
    if "ratios" in result:
        lines.append(f"ours / TRL: speed {result['ratios']['speed']:.2f}, memory {result['ratios']['memory']:.2f}")
    lines.append(
        f"our update: {update['per_second'] / 1e9:,.1f} GFLOP/s, {update['share']:.1%} of the "
        f"{update['matmul_per_second'] / 1e9:,.1f} GFLOP/s that large matrix products reach"
    )
    lines.append(f"({result['formula']})")
    return "\n".join(lines)


def markdown(result: dict[str, Any]) -> str:
    """Return the rows of a table in docs/performance.md, its head included."""
    settings, ratios = result["settings"], result.get("ratios")
    method = METHODS.get(settings["advantage"], settings["advantage"])
    epochs = f"{settings['epochs']} epoch" + "s" * (settings["epochs"] > 1)
    names = {
        "ours": f"SSL4RL, {method}, {epochs}",
        "trl": f"TRL {result['versions'].get('trl', '')} GRPOTrainer, 1 epoch",
    }
    title = f"{settings['model']}, {settings['prompts']} x {settings['group']}, answers of {settings['new_tokens']} tokens"
    rows = [
        f"| {title} | episodes/s | generated tokens/s | processed tokens/s | peak memory |",
        "| --- | --- | --- | --- | --- |",
    ]
    for side, figures in result["figures"].items():
        rates = f"{figures['episodes']:.1f} | {figures['generated']:,.0f} | {figures['processed']:,.0f}"
        rows.append(f"| {names[side]} | {rates} | {figures['memory']:,.0f} MiB |")
    if ratios is not None:
        rows.append(f"| ratio | {ratios['speed']:.2f} | | | {ratios['memory']:.2f} |")
    return "\n".join(rows)
