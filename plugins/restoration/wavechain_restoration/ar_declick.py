"""ar-declick"""
from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from wavechain import Block, Effect, Processor, Spec, param
from wavechain_restoration.ar import Mask, Signal, excitation, fitted, interpolated
from wavechain_restoration.in_order import InOrder

P1, P2 = 32, 64
KLOW = 0.5; TRIES = 3; DROP = 0.8; EXTS=(0,4,12); JOIN = 8; MARGIN = 1; FLOOR=2.0**-17

class ArDeclick(Effect):
    cost: ClassVar[float] = 100.0
    sensitivity: float = param(5.0, ge=0, le=10, help="s")
    longest_ms: float = param(2.0, unit="ms", ge=0.02, le=10, help="l")

    def open(self, spec: Spec) -> Processor:
        return _Declick(spec, self)


def runs(mask):
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.view(np.int8), [0]])))
    return edges.reshape(-1, 2)


class _Declick(InOrder):
    def __init__(self, spec, stage):
        unit = spec.sample_rate / 44100
        core = 1 << round(math.log2(2048 * unit))
        super().__init__(spec, core // 2, core, core // 2)
        self.longest = max(1, round(stage.longest_ms * 1e-3 * spec.sample_rate))
        self.K = 12 * 10 ** (-(stage.sensitivity - 5) / 10)
        self.count = 0

    def mend(self, window, channel, frames):
        work = window
        unknown = np.zeros(window.size, bool)
        for t in range(TRIES):
            a = fitted(work, P1)
            if a is None:
                return None
            new = self.found(work, a, work) & ~unknown
            if not new.any():
                break
            unknown = self.joined(unknown | new)
            work = interpolated(window, unknown, a)
        if not unknown.any():
            return None
        a = fitted(work, P2)
        if a is None: return None
        unknown = self.found(window, a, work) 
        work = interpolated(window, unknown, a)
        more = self.found(work, a, work) & ~unknown
        if more.any():
            unknown = self.joined(unknown | more)
            work = interpolated(window, unknown, a)
        sig = self.scale(excitation(work, a))
        P = P2
        fin = np.zeros(window.size, bool)
        for s, e in runs(unknown):
            if not (self.left <= s < self.left + frames): continue
            if e - s > self.longest or e + P > window.size: self.why[0]+=1; continue
            ok = False
            for ext in EXTS:
                s2, e2 = max(s - ext, P), min(e + ext, window.size - P)
                if e2 - s2 > self.longest: break
                near = slice(s2 - P, e2 + P)
                known = np.where(unknown[near], work[near], window[near])
                mask = np.zeros(near.stop - near.start, bool); mask[P:-P] = True
                after = interpolated(known, mask, a)
                before = known.copy(); before[P:-P] = window[s2:e2]
                b = np.convolve(before, a, 'valid'); f = np.convolve(after, a, 'valid')
                b = b @ b; f = f @ f
                if b - f >= DROP * b and b - f >= (self.K * sig[s]) ** 2:
                    ok = True; break
            if not ok: self.why[1]+=1; continue
            s, e = s2, e2
            work[s:e] = after[P:-P]
            self.count += 1
            fin[s:e] = True
        if not fin.any(): return None
        window[fin] = work[fin]
        return fin
    why=[0,0,0]

    def scale(self, e):
        size = self.core // 4
        m = np.median(np.abs(e.reshape(-1, size)), axis=1) / 0.6745
        m = np.maximum(m, FLOOR)
        m2 = np.maximum(m, np.maximum(np.append(m[1:], 0), np.append(0, m[:-1])))
        return np.repeat(m2, size)

    def joined(self, mask, gap=JOIN):
        out = mask.copy()
        for s, e in runs(~mask):
            if e - s <= gap and s > 0 and e < mask.size: out[s:e] = True
        return out

    def errs(self, x, a):
        P = a.size - 1
        e = excitation(x, a)
        b = np.convolve(x, a[::-1])[P:]
        m = np.convolve(e, a[::-1])[P:] / math.sqrt(a @ a)
        m[-P:] = 0; b[-P:] = 0; e[:P] = 0; m[:P] = 0
        return np.minimum(np.abs(e), np.abs(b)), np.abs(m)

    def found(self, x, a, ref):
        lo, m = self.errs(x, a)
        rl, rm = (lo, m) if ref is x else self.errs(ref, a)
        lo = lo > KLOW * self.K * self.scale(rl)
        strong = m > self.K * self.scale(rm)
        out = np.zeros(x.size, bool)
        for s, t in runs(self.joined(lo)):
            if strong[max(s-2,0):t+2].any():
                out[max(s - MARGIN, 0):t + MARGIN] = True
        for s, t in runs(strong):
            if not out[max(s - 16,0):t + 16].any():
                p = s + int(np.argmax(m[s:t]))
                out[p - 1:p + 2] = True
        return out
