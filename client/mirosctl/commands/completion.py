"""mirosctl completion: what a shell needs to complete mirosctl's words."""

import click
from click.shell_completion import get_completion_class

from mirosctl.options import Options, common_options
from mirosctl.output import show_json

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@common_options
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completions for SHELL.

    \b
    bash: eval "$(mirosctl completion bash)"    in ~/.bashrc
    zsh:  eval "$(mirosctl completion zsh)"     in ~/.zshrc
    fish: mirosctl completion fish > ~/.config/fish/completions/mirosctl.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None, f"click completes no words of {shell}"
    script = kind(context.find_root().command, {}, "mirosctl", "_MIROSCTL_COMPLETE").source()
    if context.ensure_object(Options).as_json:
        show_json("completion", {"shell": shell, "script": script})
    else:
        click.echo(script)
