"""A small path tracer for boxes, for backgrounds: true soft light and depth of field, in a fragment shader.

Light that falls from lamps is sampled at every bounce. The picture is linear light.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import cv2
import moderngl
import numpy as np
from numpy.typing import NDArray

from handdgp_core.geometry.camera import Camera
from handdgp_core.synthetic.rendering.opengl import (
    RenderError,
    exact_texture,
    headless_context,
    screen_triangle,
    set_uniforms,
)
from handdgp_core.synthetic.rendering.shaders import SCREEN_VERTEX

Floats = NDArray[np.float64]
MAX_BOXES, _MAX_LAMPS = 160, 8
_FOCUS_M = 0.5

# Everything is a box (minimum, maximum corner) with a colour, a pattern and emission; camera frame, y down.
TRACE_FRAGMENT = (
    f"""
#version 330
#define MAX_BOXES {MAX_BOXES}
"""
    + """
uniform int box_count;
uniform vec4 box_low[MAX_BOXES];    // w: pattern (0 plain, 1 wood, 2 plaster, 3 cloth, 4 book, 5 leaf: an ellipsoid)
uniform vec4 box_high[MAX_BOXES];   // w: emission
uniform vec3 box_colour[MAX_BOXES];
uniform int lamp_count;
uniform int lamp_box[8];            // boxes that give light, and the face of each that is sampled:
uniform vec3 lamp_corner[8];        // a corner,
uniform vec3 lamp_u[8];             // two edges,
uniform vec3 lamp_v[8];
uniform vec3 lamp_normal[8];        // and the way it faces
uniform sampler2D rays;             // undistorted x/z, y/z of every pixel
uniform vec2 ray_step;              // size of a pixel in x/z, y/z
uniform float focus_m;
uniform float aperture_m;
uniform uint pass_number;
out vec4 colour;

uint state;
float next() {
    state = state * 747796405u + 2891336453u;
    uint word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
    return float((word >> 22u) ^ word) / 4294967296.0;
}
float lattice(vec3 p) {
    ivec3 q = ivec3(floor(p));
    uint h = uint(q.x) * 73856093u ^ uint(q.y) * 19349663u ^ uint(q.z) * 83492791u;
    h ^= h >> 16; h *= 0x7feb352du; h ^= h >> 15; h *= 0x846ca68bu; h ^= h >> 16;
    return float(h) / 4294967296.0;
}
float smooth_noise(vec3 p) {
    vec3 f = fract(p); f = f * f * (3.0 - 2.0 * f); p = floor(p);
    float sum = 0.0;
    for (int i = 0; i < 8; ++i) {
        vec3 c = vec3(i & 1, (i >> 1) & 1, i >> 2);
        vec3 w = mix(1.0 - f, f, c);
        sum += w.x * w.y * w.z * lattice(p + c);
    }
    return sum;
}
int hit(vec3 o, vec3 d, out float t_hit, out vec3 n_hit) {
    int best = -1;
    t_hit = 1e9;
    vec3 inv = 1.0 / d;
    for (int i = 0; i < box_count; ++i) {
        vec3 a = (box_low[i].xyz - o) * inv, b = (box_high[i].xyz - o) * inv;
        vec3 lo = min(a, b), hi = max(a, b);
        float near = max(max(lo.x, lo.y), lo.z), far = min(min(hi.x, hi.y), hi.z);
        if (near > far || far < 1e-4) continue;
        if (box_low[i].w > 4.5) {
            vec3 c = 0.5 * (box_low[i].xyz + box_high[i].xyz), h = 0.5 * (box_high[i].xyz - box_low[i].xyz);
            vec3 so = (o - c) / h, sd = d / h;
            float qa = dot(sd, sd), qb = dot(so, sd), root = qb * qb - qa * (dot(so, so) - 1.0);
            float t = (-qb - sqrt(max(root, 0.0))) / qa;
            if (root > 0.0 && t > 1e-4 && t < t_hit) { t_hit = t; best = i; n_hit = (so + t * sd) / h; }
            continue;
        }
        float t = near > 1e-4 ? near : far;
        if (t < t_hit) {
            t_hit = t; best = i;
            vec3 face = near > 1e-4 ? step(vec3(near), lo) : step(hi, vec3(far));
            n_hit = -sign(d) * face;
        }
    }
    n_hit = normalize(n_hit);
    return best;
}
vec3 surface(int i, vec3 p, vec3 n) {
    vec3 c = box_colour[i];
    float kind = box_low[i].w;
    if (kind < 0.5) return c;
    if (kind < 1.5) {
        vec3 size = box_high[i].xyz - box_low[i].xyz;
        vec3 q = size.x > size.y ? p.xyz : p.yxz;
        float ring = smooth_noise(vec3(q.x * 2.0, q.y * 42.0, q.z * 42.0) + 3.0 * smooth_noise(p * 5.0));
        return c * (0.78 + 0.42 * ring);
    }
    if (kind < 2.5) return c * (0.95 + 0.05 * smooth_noise(p * 2.5) + 0.03 * (smooth_noise(p * 60.0) - 0.5));
    if (kind < 3.5) return c * (0.8 + 0.25 * smooth_noise(p * vec3(9.0, 1.3, 9.0)));
    if (kind > 4.5) return c * (0.75 + 0.5 * smooth_noise(p * 30.0));
    float band = fract((p.y - box_low[i].y) / (box_high[i].y - box_low[i].y));
    float seed = lattice(box_low[i].xyz * 977.0);
    bool label = band > 0.15 + 0.2 * seed && band < 0.30 + 0.35 * seed;
    bool stripe = band > 0.86 && band < 0.90;
    return label ? mix(c, vec3(0.7, 0.66, 0.56), 0.35 * step(0.35, seed)) : stripe ? c * 0.5 : c;
}
vec3 cosine_direction(vec3 n) {
    float a = 6.28318 * next(), z = 2.0 * next() - 1.0;
    return normalize(n + vec3(cos(a) * sqrt(1.0 - z * z), sin(a) * sqrt(1.0 - z * z), z) * 0.999);
}
vec3 lamp_light(vec3 p, vec3 n) {
    int k = min(int(next() * float(lamp_count)), lamp_count - 1);
    vec3 to = lamp_corner[k] + next() * lamp_u[k] + next() * lamp_v[k] - p;
    float far = length(to);
    vec3 d = to / far;
    float cosines = max(dot(n, d), 0.0) * max(-dot(lamp_normal[k], d), 0.0);
    if (cosines <= 0.0) return vec3(0.0);
    float t; vec3 face;
    if (hit(p, d, t, face) != lamp_box[k]) return vec3(0.0);
    int i = lamp_box[k];
    float area = length(cross(lamp_u[k], lamp_v[k]));
    return box_colour[i] * box_high[i].w * cosines * area * float(lamp_count) / (3.14159 * far * far);
}
void main() {
    ivec2 pixel = ivec2(gl_FragCoord.xy);
    state = uint(pixel.x) * 1973u + uint(pixel.y) * 9277u + pass_number * 26699u;
    next(); state ^= uint(pixel.y) * 668265263u; next();
    vec2 ray = texelFetch(rays, pixel, 0).rg + (vec2(next(), next()) - 0.5) * ray_step;
    float a = 6.28318 * next(), r = sqrt(next()) * aperture_m;
    vec3 o = vec3(r * cos(a), r * sin(a), 0.0);
    vec3 d = normalize(vec3(ray, 1.0) * focus_m - o);
    vec3 light = vec3(0.0), through = vec3(1.0);
    for (int bounce = 0; bounce < 4; ++bounce) {
        float t; vec3 n;
        int i = hit(o, d, t, n);
        if (i < 0) break;
        vec3 p = o + d * t;
        if (box_high[i].w > 0.0) {
            if (bounce == 0) light += box_colour[i] * box_high[i].w;
            break;
        }
        through *= surface(i, p, n);
        o = p + n * 1e-3;
        light += through * lamp_light(o, n);
        d = cosine_direction(n);
    }
    colour = vec4(min(light, vec3(12.0)), 1.0);
}
"""
)


class Pattern(IntEnum):
    """What a box is made of; numbers as the shader knows them."""

    PLAIN = 0
    WOOD = 1
    PLASTER = 2
    CLOTH = 3
    BOOK = 4
    LEAF = 5  # an ellipsoid instead of a box


@dataclass(frozen=True)
class Box:
    """An axis-aligned box in metres (camera frame, y down): corners, linear colour, pattern, emission."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    colour: tuple[float, float, float]
    pattern: Pattern = Pattern.PLAIN
    emission: float = 0.0


def render_boxes(
    boxes: list[Box], camera: Camera, passes: int = 64, scale: float = 0.5, aperture_m: float = 0.004
) -> NDArray[np.float32]:
    """Path trace a scene.

    Args:
        boxes: at most `MAX_BOXES`.
        camera: sees it, distortion included; gives the size of the picture.
        passes: light paths per pixel.
        scale: traced at this fraction of the size (the background is out of focus).
        aperture_m: radius of the lens.

    Returns:
        (height, width, 3) float32, linear light.
    """
    small = (round(camera.width * scale), round(camera.height * scale))
    with headless_context() as ctx:
        mean = _trace(ctx, boxes, camera, small, passes, aperture_m)
    ctx.release()
    large = cv2.resize(_calmed(mean), camera.size, interpolation=cv2.INTER_CUBIC)
    return np.maximum(large, 0).astype(np.float32)


def _calmed(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take the remaining sampling noise out and keep the edges."""
    root = np.sqrt(np.maximum(cv2.medianBlur(image, 3), 0))
    for _ in range(2):
        root = cv2.bilateralFilter(root, 11, 0.06, 3.0)
    return np.asarray(cv2.GaussianBlur(root, (0, 0), 0.8) ** 2, np.float32)


def _trace(
    ctx: moderngl.Context, boxes: list[Box], camera: Camera, small: tuple[int, int], passes: int, aperture_m: float
) -> NDArray[np.float32]:
    program = ctx.program(vertex_shader=SCREEN_VERTEX, fragment_shader=TRACE_FRAGMENT)
    set_uniforms(program, _scene(boxes))
    rays = exact_texture(ctx, small, 2, "f4")
    rays.write(_pixel_rays(camera, small).astype("f4").tobytes())
    rays.use(0)
    step = np.array(camera.size) / small / camera.focal_px
    set_uniforms(program, {"rays": 0, "ray_step": tuple(step), "focus_m": _FOCUS_M, "aperture_m": aperture_m})
    target = ctx.framebuffer([exact_texture(ctx, small, 4, "f4")])
    screen = screen_triangle(ctx, program)
    total = np.zeros((small[1], small[0], 3), np.float32)
    target.use()
    for number in range(passes):
        set_uniforms(program, {"pass_number": number})
        screen.render(moderngl.TRIANGLES, vertices=3)
        total += np.frombuffer(target.read(components=3, dtype="f4"), np.float32).reshape(total.shape)
    return np.asarray(total / passes, np.float32)


def _scene(boxes: list[Box]) -> dict[str, object]:
    lamps = [(i, *_lamp_face(box)) for i, box in enumerate(boxes) if box.emission > 0]
    if len(boxes) > MAX_BOXES or not 0 < len(lamps) <= _MAX_LAMPS:
        raise RenderError(
            f"A scene cannot have {len(boxes)} boxes with {len(lamps)} lamps among them.",
            hint=f"Take at most {MAX_BOXES} boxes, 1 to {_MAX_LAMPS} of them lamps.",
        )
    columns = [np.array([lamp[k] for lamp in lamps]) for k in range(5)]
    return {
        "box_count": len(boxes),
        "box_low": _padded(np.array([(*box.low, box.pattern) for box in boxes]), MAX_BOXES),
        "box_high": _padded(np.array([(*box.high, box.emission) for box in boxes]), MAX_BOXES),
        "box_colour": _padded(np.array([box.colour for box in boxes]), MAX_BOXES),
        "lamp_count": len(lamps),
        "lamp_box": columns[0].tolist() + [0] * (_MAX_LAMPS - len(lamps)),
        "lamp_corner": _padded(columns[1], _MAX_LAMPS),
        "lamp_u": _padded(columns[2], _MAX_LAMPS),
        "lamp_v": _padded(columns[3], _MAX_LAMPS),
        "lamp_normal": _padded(columns[4], _MAX_LAMPS),
    }


def _padded(rows: Floats, count: int) -> Floats:
    return np.concatenate([rows, np.zeros((count - len(rows), rows.shape[1]))])


def _lamp_face(box: Box) -> tuple[Floats, Floats, Floats, Floats]:
    """Corner, two edges and normal of the face that is sampled: of a flat lamp the one that looks along its thin
    axis (a window on the left into the room, a ceiling lamp down), of a lampshade the one that lights the wall."""
    low, high = np.array(box.low), np.array(box.high)
    size = high - low
    thin = int(np.argmin(size)) if size.min() < 0.1 else 2
    u, v = (np.eye(3)[k] * size[k] for k in range(3) if k != thin)
    corner = low.copy()
    corner[thin] = high[thin]
    return corner, u, v, np.eye(3)[thin]


def _pixel_rays(camera: Camera, small: tuple[int, int]) -> Floats:
    """(h, w, 2) undistorted x/z and y/z of the pixel centres of the small picture."""
    u = (np.arange(small[0]) + 0.5) * camera.width / small[0] - 0.5
    v = (np.arange(small[1]) + 0.5) * camera.height / small[1] - 0.5
    return camera.rays(np.stack(np.meshgrid(u, v), axis=-1))[..., :2]
