"""A room behind the hand: boxes lit by a window, path traced, seen through the camera's own lens and out of focus.

The picture is linear light. The same room gives the light that falls on the hand.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import moderngl
import numpy as np
from numpy.typing import NDArray

from handdgp_core.geometry.camera import Camera
from handdgp_core.training.synthetic.renderer import headless_context

Floats = NDArray[np.float64]
MAX_BOXES = 160

# Everything is a box (minimum, maximum corner) with a colour, a pattern and emission; camera frame, y down.
TRACE_FRAGMENT = f"""
#version 330
#define MAX_BOXES {MAX_BOXES}
""" + """
uniform int box_count;
uniform vec4 box_low[MAX_BOXES];    // w: pattern (0 plain, 1 wood, 2 plaster, 3 cloth, 4 book)
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
    float band = fract((p.y - box_low[i].y) / (box_high[i].y - box_low[i].y));
    float seed = lattice(box_low[i].xyz * 977.0);
    bool label = band > 0.15 + 0.2 * seed && band < 0.30 + 0.35 * seed;
    bool stripe = band > 0.86 && band < 0.90;
    return label ? mix(c, vec3(0.8, 0.76, 0.65), 0.65) : stripe ? c * 0.5 : c;
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
_SCREEN_VERTEX = """
#version 330
in vec2 in_corner;
void main() { gl_Position = vec4(in_corner, 0.0, 1.0); }
"""


@dataclass(frozen=True)
class Box:
    """An axis-aligned box in metres (camera frame, y down): corners, linear colour, pattern number, emission."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    colour: tuple[float, float, float]
    pattern: int = 0
    emission: float = 0.0


def make_room(seed: int) -> list[Box]:
    """A study: wall with window and picture, bookshelf, desk with things on it. The camera looks along +z."""
    draw = np.random.default_rng(seed)
    back, floor, ceiling = 2.9, 1.15, -1.45
    wall = (0.66, 0.63, 0.57)
    boxes = [
        Box((-2.6, ceiling, back), (2.4, floor, back + 0.1), wall, 2),
        Box((-2.7, ceiling, -2.0), (-2.6, -0.85, back), wall, 2),
        Box((-2.7, 0.15, -2.0), (-2.6, floor, back), wall, 2),
        Box((-2.7, -0.85, 1.3), (-2.6, 0.15, back), wall, 2),
        Box((-2.7, -0.85, -2.0), (-2.6, 0.15, -1.2), wall, 2),
        Box((2.4, ceiling, -2.0), (2.5, floor, back), (0.60, 0.62, 0.60), 2),
        Box((-2.7, ceiling - 0.1, -2.0), (2.5, ceiling, back), (0.78, 0.78, 0.76), 2),
        Box((-2.7, floor, -2.0), (2.5, floor + 0.1, back), (0.30, 0.19, 0.11), 1),
        Box((-2.7, ceiling, -2.1), (2.5, floor, -2.0), (0.55, 0.53, 0.5), 2),
        # Window in the left wall: the sky behind it, a frame and a bar.
        Box((-2.9, -1.0, -1.3), (-2.85, 0.3, 1.4), (0.82, 0.92, 1.0), 0, 9.0),
        Box((-2.72, -0.38, -1.2), (-2.58, -0.34, 1.3), (0.8, 0.8, 0.78)),
        Box((-2.72, -0.85, 0.03), (-2.58, 0.15, 0.07), (0.8, 0.8, 0.78)),
        # Ceiling lamp behind the camera and the glow of the monitor in front of the person.
        Box((-0.5, ceiling + 0.02, -1.2), (0.5, ceiling + 0.04, -0.4), (1.0, 0.83, 0.62), 0, 4.0),
        # Curtain.
        *[
            Box((-2.55 - 0.03 * (i % 2), -1.15, 2.35 + 0.055 * i), (-2.50 - 0.03 * (i % 2), 1.1, 2.40 + 0.055 * i),
                (0.42, 0.44, 0.46), 3)
            for i in range(8)
        ],
        # Picture with a mat.
        Box((-1.28, -0.72, 2.86), (-0.58, -0.18, 2.9), (0.07, 0.06, 0.05)),
        Box((-1.25, -0.69, 2.85), (-0.61, -0.21, 2.87), (0.78, 0.76, 0.70)),
        Box((-1.15, -0.59, 2.84), (-0.71, -0.43, 2.86), (0.25, 0.38, 0.48), 3),
        Box((-1.15, -0.43, 2.84), (-0.71, -0.31, 2.86), (0.33, 0.36, 0.20), 3),
        # Sideboard with a lamp, a vase and a plant in a pot.
        Box((-1.75, 0.42, 2.45), (-0.25, 0.47, 2.9), (0.42, 0.26, 0.14), 1),
        Box((-1.70, 0.47, 2.48), (-0.30, floor, 2.88), (0.36, 0.22, 0.12), 1),
        Box((-1.02, 0.47, 2.47), (-1.00, floor, 2.49), (0.12, 0.08, 0.05)),
        Box((-0.62, 0.08, 2.62), (-0.40, 0.30, 2.80), (1.0, 0.72, 0.42), 0, 1.1),
        Box((-0.525, 0.30, 2.69), (-0.495, 0.42, 2.72), (0.1, 0.09, 0.08)),
        Box((-1.55, 0.26, 2.58), (-1.35, 0.42, 2.78), (0.50, 0.24, 0.15)),
        *_leaves(draw, (-1.45, 0.02, 2.68), 26),
        *_shelf(draw, back),
    ]
    return boxes[:MAX_BOXES]


def _leaves(draw: np.random.Generator, center: tuple[float, float, float], count: int) -> list[Box]:
    boxes = []
    for _ in range(count):
        x, y, z = np.asarray(center) + draw.normal(0, (0.13, 0.13, 0.06))
        w, h = draw.uniform(0.02, 0.07, 2)
        green = (0.05 + 0.09 * draw.random(), 0.16 + 0.16 * draw.random(), 0.05 + 0.05 * draw.random())
        boxes.append(Box((x - w, min(y - h, 0.24), z - 0.01), (x + w, min(y + h, 0.26), z + 0.01), green))
    return boxes


def _shelf(draw: np.random.Generator, back: float) -> list[Box]:
    left, right, front = 0.35, 1.95, back - 0.32
    wood = (0.46, 0.30, 0.17)
    boxes = [Box((x, -1.2, front), (x + 0.03, 1.15, back), wood, 1) for x in (left, 1.14, right)]
    palette = np.array(
        [(0.45, 0.09, 0.07), (0.08, 0.15, 0.32), (0.62, 0.52, 0.33), (0.08, 0.22, 0.16), (0.68, 0.66, 0.60),
         (0.06, 0.06, 0.07), (0.55, 0.30, 0.10), (0.16, 0.32, 0.40), (0.35, 0.12, 0.22)]
    )
    for y in (-1.2, -0.80, -0.40, 0.0, 0.40, 0.80):
        boxes.append(Box((left, y, front), (right, y + 0.03, back), wood, 1))
    for y in (-0.40, 0.0, 0.40, 0.80):
        for start, end in ((left + 0.03, 1.14), (1.17, right)):
            boxes += _books(draw, palette, start, end, y, front)
    return boxes


def _books(
    draw: np.random.Generator, palette: Floats, start: float, end: float, shelf_y: float, front: float
) -> list[Box]:
    boxes, x = [], start + 0.01
    stop = start + (end - start) * draw.uniform(0.7, 1.0)
    while x < stop - 0.07:
        thick, tall = draw.uniform(0.03, 0.085), draw.uniform(0.20, 0.32)
        colour = palette[draw.integers(len(palette))] * draw.uniform(0.7, 1.2)
        depth = draw.uniform(0.02, 0.09)
        low = (x, shelf_y - tall, front + depth)
        boxes.append(Box(low, (x + thick, shelf_y, front + 0.25), (colour[0], colour[1], colour[2]), 4))
        x += thick + 0.003
    return boxes


def render_room(
    boxes: list[Box], camera: Camera, passes: int = 96, scale: float = 0.5, aperture_m: float = 0.004
) -> NDArray[np.float32]:
    """Path trace the room.

    Args:
        boxes: at most `MAX_BOXES`.
        camera: sees the room, distortion included; gives the size of the picture.
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
    calm = cv2.GaussianBlur(cv2.medianBlur(mean, 3), (0, 0), 1.0)
    return np.maximum(cv2.resize(calm, camera.size, interpolation=cv2.INTER_CUBIC), 0)


def _trace(
    ctx: moderngl.Context, boxes: list[Box], camera: Camera, small: tuple[int, int], passes: int, aperture_m: float
) -> NDArray[np.float32]:
    program = ctx.program(vertex_shader=_SCREEN_VERTEX, fragment_shader=TRACE_FRAGMENT)
    _upload(program, boxes)
    rays = _pixel_rays(camera, small)
    texture = ctx.texture(small, 2, rays.astype("f4").tobytes(), dtype="f4")
    texture.use(0)
    program["rays"].value = 0
    program["ray_step"].value = (camera.width / small[0] / camera.matrix[0, 0], camera.height / small[1] / camera.matrix[1, 1])
    program["focus_m"].value = 0.5
    program["aperture_m"].value = aperture_m
    target = ctx.framebuffer([ctx.texture(small, 4, dtype="f4")])
    corners = ctx.buffer(np.array([-1, -1, 3, -1, -1, 3], dtype="f4"))
    screen = ctx.vertex_array(program, [(corners, "2f", "in_corner")])
    total = np.zeros((small[1], small[0], 3), np.float32)
    for number in range(passes):
        program["pass_number"].value = number
        target.use()
        screen.render(moderngl.TRIANGLES, vertices=3)
        total += np.frombuffer(target.read(components=3, dtype="f4"), np.float32).reshape(total.shape)
    return total / passes


def _upload(program: moderngl.Program, boxes: list[Box]) -> None:
    faces = [(i, *face) for i, box in enumerate(boxes) if box.emission > 0 for face in _lamp_faces(box)]
    program["lamp_count"].value = len(faces)
    program["lamp_box"].value = [f[0] for f in faces] + [0] * (8 - len(faces))
    for column, name in enumerate(("lamp_corner", "lamp_u", "lamp_v", "lamp_normal"), start=1):
        rows = np.array([f[column] for f in faces], "f4")
        program[name].write(np.concatenate([rows, np.zeros((8 - len(rows), 3), "f4")]))
    pad = np.zeros((MAX_BOXES - len(boxes), 4), "f4")
    low = np.array([(*b.low, b.pattern) for b in boxes], "f4")
    high = np.array([(*b.high, b.emission) for b in boxes], "f4")
    program["box_count"].value = len(boxes)
    program["box_low"].write(np.concatenate([low, pad]))
    program["box_high"].write(np.concatenate([high, pad]))
    program["box_colour"].write(np.concatenate([np.array([b.colour for b in boxes], "f4"), pad[:, :3]]))


def _lamp_faces(box: Box) -> list[tuple[Floats, Floats, Floats, Floats]]:
    """Corner, two edges and outward normal of the faces of a thin lamp that look into the room (large ones only)."""
    low, high = np.array(box.low), np.array(box.high)
    size = high - low
    thin = int(np.argmin(size))
    if size[thin] > 0.1:  # a lampshade: its front is enough
        thin = 2
    u, v = (np.eye(3)[k] * size[k] for k in range(3) if k != thin)
    inward = {0: 1.0, 1: 1.0, 2: -1.0}[thin]  # windows on the left, lamps above, shades at the back
    normal = np.eye(3)[thin] * inward
    corner = low.copy()
    corner[thin] = high[thin] if inward > 0 else low[thin]
    return [(corner, u, v, normal)]


def _pixel_rays(camera: Camera, small: tuple[int, int]) -> Floats:
    """(h, w, 2) undistorted x/z and y/z of the pixel centres of the small picture."""
    u = (np.arange(small[0]) + 0.5) * camera.width / small[0] - 0.5
    v = (np.arange(small[1]) + 0.5) * camera.height / small[1] - 0.5
    return camera.rays(np.stack(np.meshgrid(u, v), axis=-1))[..., :2]
