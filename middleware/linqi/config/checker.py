"""The check of ``linqi.toml``: what does not work, what is unsafe, what is worth knowing."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from linqi.config import key_material
from linqi.config.bridge_rules import BRIDGE_RULES
from linqi.config.builder import build
from linqi.config.faults import Fault, InvalidConfig
from linqi.config.findings import SEVERITIES, CheckedSettings, Finding
from linqi.config.issuer_rules import ISSUER_RULES
from linqi.config.issuers import no_tenant
from linqi.config.lifetime_rules import LIFETIME_RULES
from linqi.config.proxy_rules import PROXY_RULES
from linqi.config.reader import load, read_text
from linqi.config.safety_rules import SAFETY_RULES
from linqi.config.schema import ISSUERS, Config
from linqi.config.setup_rules import SETUP_RULES
from linqi.errors import ConfigurationError, InvalidKey
from linqi.jose._guarded_file import read_guarded
from linqi.jose.keys import KeySet

__all__ = ["CheckResult", "check", "lint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """The findings of one file, the most severe first."""

    findings: tuple[Finding, ...]
    is_readable: bool
    """Whether the file could be read as a configuration."""

    @property
    def exit_code(self) -> int:
        """0 if there are notes at most, 1 for an error or a warning, 2 if the file is invalid."""
        if not self.is_readable:
            return 2
        return int(any(finding.severity != "note" for finding in self.findings))


def check(
    path: str | Path = "linqi.toml",
    environ: Mapping[str, str] | None = None,
    *,
    reads_keys: bool = True,
    clock: Callable[[], float] = time.time,
) -> CheckResult:
    """Return the findings for a file, its environment overrides and the keys that it names.

    Args:
        path: The configuration file.
        environ: The environment variables; the default is ``os.environ``.
        reads_keys: False reads no key file and no variable that holds keys, for machines that do
            not have them.
        clock: Returns Unix seconds.

    """
    variables = os.environ if environ is None else environ
    try:
        text = read_text(path)
        config = load(path, variables)
    except InvalidConfig as error:
        return CheckResult(findings=_as_findings(error.details), is_readable=False)
    faults: tuple[Finding, ...] = ()
    signing = verify = refresh = None
    certificate_ends: Mapping[tuple[str, str], float] = {}
    if reads_keys:
        try:
            asks = any(table.ask_tenants for table in config.issuers)
            build(_unshared(config), environ=variables, tenants=no_tenant if asks else None)
        except InvalidConfig as error:
            faults = _as_findings(error.details)
        except ConfigurationError as error:
            faults = tuple(
                Finding(
                    code="contradiction",
                    severity="error",
                    reason=_sentence(text),
                    remedy="Change one of the settings that contradict each other.",
                )
                for text in error.faults
            )
        keys, store = config.keys, config.store
        signing = _keys(config, keys.file, keys.env, keys.algorithm, variables)
        verify = _keys(config, keys.verify_file, keys.verify_env, keys.verify_algorithm, variables)
        refresh = _keys(config, store.secrets_file, store.secrets_env, None, variables)
        certificate_ends = _certificate_ends(config, variables)
    checked = CheckedSettings(
        config=config,
        text=text,
        modes=_modes(config, Path(path)),
        signing=signing,
        verify=verify,
        refresh=refresh,
        now=clock(),
        certificate_ends=certificate_ends,
    )
    found = lint(checked)
    reported = {(finding.code, finding.table, finding.key) for finding in found}
    faults = tuple(b for b in faults if (b.code, b.table, b.key) not in reported)
    return CheckResult(findings=(*faults, *found), is_readable=True)


def lint(checked: CheckedSettings) -> Sequence[Finding]:
    """Return the findings of every rule, the most severe first."""
    rules = (*SAFETY_RULES, *ISSUER_RULES, *LIFETIME_RULES, *PROXY_RULES, *BRIDGE_RULES)
    rules = (*rules, *SETUP_RULES)
    found = [finding for rule in rules for finding in rule(checked)]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def _as_findings(faults: Sequence[Fault]) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            code=fault.code,
            severity="error",
            table=fault.table,
            key=fault.key,
            reason=_reason(fault),
            remedy=_sentence(fault.expected),
        )
        for fault in faults
    )


def _sentence(text: str) -> str:
    """Return `text` with a capital letter, unless it begins with a key, and one mark at its end."""
    end = "" if text.endswith((".", "?", "!")) else "."
    is_key = "_" in text.partition(" ")[0]
    return f"{text[:1] if is_key else text[:1].upper()}{text[1:]}{end}"


def _unshared(config: Config) -> Config:
    """Return `config` without the shared folder, which `build` would create."""
    return replace(config, jwks=replace(config.jwks, share_folder=None))


def _reason(fault: Fault) -> str:
    value = f" with {fault.key} = {fault.seen}" if fault.seen else ""
    return f"{fault.source}{value} cannot be used."


def _keys(
    config: Config,
    file: str | None,
    variable: str | None,
    algorithm: str | None,
    environ: Mapping[str, str],
) -> KeySet | None:
    """Return the keys of a file or a variable; None if unreadable, which `build` reports."""
    try:
        if file:
            found = key_material.keys_of_file(config.folder / file, algorithm=algorithm)
            return found if isinstance(found, KeySet) else found.keys
        if variable:
            return key_material.keys_of_text(key_material.text_of(variable, environ), algorithm)
    except (ConfigurationError, InvalidKey):
        pass
    return None


def _certificate_ends(config: Config, environ: Mapping[str, str]) -> dict[tuple[str, str], float]:
    """Return when the certificates end whose keys verify; `build` reports what is unreadable."""
    tables = [(f"{ISSUERS}.{n}", "keys", issuer) for n, issuer in enumerate(config.issuers)]
    found = {}
    for table, prefix, settings in (("keys", "verify", config.keys), *tables):
        for kind in ("file", "env"):
            key = f"{prefix}_{kind}"
            if not (name := getattr(settings, key)):
                continue
            try:
                data = (
                    read_guarded(config.folder / name)
                    if kind == "file"
                    else key_material.text_of(name, environ).encode()
                )
                found[table, key] = key_material.certificate_end(data)
            except (ConfigurationError, InvalidKey, OSError):
                continue
    return found


def _modes(config: Config, path: Path) -> dict[Path, int]:
    if os.name != "posix":
        return {}
    found = {}
    authorities = [issuer.ca_file for issuer in config.issuers]
    own = (config.keys.file, config.keys.verify_file, config.store.secrets_file)
    for name in (path.name, *own, *authorities):
        if name:
            try:
                found[config.folder / name] = stat.S_IMODE((config.folder / name).stat().st_mode)
            except OSError:
                continue
    return found
