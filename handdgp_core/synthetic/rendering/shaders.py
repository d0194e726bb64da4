"""GLSL of the hand renderer. All geometry is in the camera frame (OpenCV axes, metres); colours are linear light."""

from __future__ import annotations

MAX_AMBIENT = 32

# Image row 0 is the first row of the framebuffer, so nothing is flipped on the way out. Pixel centres are integers:
# pixel u covers [u - 0.5, u + 0.5], hence the half pixel before the scale to clip space.
PROJECTION = """
uniform vec4 lens;          // fx, fy, cx, cy
uniform float distortion[5];// k1 k2 p1 p2 k3
uniform float radius2_max;  // the distortion polynomial is followed up to here (r^2)
uniform vec2 image_size;
uniform vec2 depth_range;   // near, far
vec4 project(vec3 p) {
    vec2 q = p.xy / p.z;
    float r2 = min(dot(q, q), radius2_max);
    float radial = 1.0 + r2 * (distortion[0] + r2 * (distortion[1] + r2 * distortion[4]));
    vec2 tangent = vec2(2.0 * distortion[2] * q.x * q.y + distortion[3] * (r2 + 2.0 * q.x * q.x),
                        distortion[2] * (r2 + 2.0 * q.y * q.y) + 2.0 * distortion[3] * q.x * q.y);
    vec2 pixel = lens.xy * (q * radial + tangent) + lens.zw;
    vec2 clip = (pixel + 0.5) * 2.0 / image_size - 1.0;
    float n = depth_range.x, f = depth_range.y;
    return vec4(clip * p.z, (p.z * (f + n) - 2.0 * f * n) / (f - n), p.z);
}
"""

DEPTH_VERTEX = """
#version 330
in vec3 in_position;
uniform mat4 clip_from_camera;
void main() { gl_Position = clip_from_camera * vec4(in_position, 1.0); }
"""

DEPTH_FRAGMENT = """
#version 330
void main() {}
"""

# Ambient light reaches a vertex from a fan of directions, each with its own small shadow map (tiles of one atlas).
# The vertex carries the irradiance on its own normal and, for bumped normals, the first-order harmonics around it.
SKIN_VERTEX = (
    """
#version 330
in vec3 in_position;
in vec3 in_normal;
in vec2 in_uv;
"""
    + PROJECTION
    + f"""
const int MAX_AMBIENT = {MAX_AMBIENT};"""
    + """
uniform int ambient_count;
uniform mat4 ambient_clip[MAX_AMBIENT];
uniform vec3 ambient_direction[MAX_AMBIENT];  // towards the light
uniform vec3 ambient_radiance[MAX_AMBIENT];   // times solid angle
uniform sampler2D ambient_atlas;
uniform vec2 ambient_tiles;                   // columns, rows of the atlas
uniform float ambient_offset;                 // metres along the normal, against self-shadowing
out vec3 position;
out vec3 normal;
out vec2 uv;
out vec3 irradiance;
out vec3 blocked;              // what the hand itself keeps away
out vec3 slope_x;
out vec3 slope_y;
out vec3 slope_z;
float lit(int index, vec3 p) {
    vec3 c = (ambient_clip[index] * vec4(p, 1.0)).xyz * 0.5 + 0.5;
    if (any(lessThan(c.xy, vec2(0.01))) || any(greaterThan(c.xy, vec2(0.99)))) return 1.0;
    vec2 texel = 1.0 / vec2(textureSize(ambient_atlas, 0));
    vec2 tile = vec2(index % int(ambient_tiles.x), index / int(ambient_tiles.x));
    vec2 at = (tile + c.xy) / ambient_tiles;
    float sum = 0.0;
    for (int y = -1; y <= 1; y += 2)
        for (int x = -1; x <= 1; x += 2)
            sum += textureLod(ambient_atlas, at + vec2(x, y) * texel, 0.0).r < c.z ? 0.0 : 0.25;
    return sum;
}
void main() {
    gl_Position = project(in_position);
    position = in_position;
    normal = in_normal;
    uv = in_uv;
    irradiance = blocked = slope_x = slope_y = slope_z = vec3(0.0);
    vec3 start = in_position + in_normal * ambient_offset;
    for (int i = 0; i < ambient_count; ++i) {
        vec3 d = ambient_direction[i];
        float facing = dot(in_normal, d);
        if (facing < -0.35) continue;
        float open = lit(i, start);
        float share = max(0.0, (facing + 0.3) / 1.3) * 0.9;  // a little wraps around: skin is translucent
        vec3 light = ambient_radiance[i] * open;
        irradiance += light * share;
        blocked += ambient_radiance[i] * (1.0 - open) * share;
        slope_x += light * d.x;
        slope_y += light * d.y;
        slope_z += light * d.z;
    }
}
"""
)

SKIN_FRAGMENT = """
#version 330
in vec3 position;
in vec3 normal;
in vec2 uv;
in vec3 irradiance;
in vec3 blocked;
in vec3 slope_x;
in vec3 slope_y;
in vec3 slope_z;
uniform sampler2D albedo_map;   // rgb sRGB, a gloss
uniform sampler2D height_map;   // millimetres
uniform float bump_scale;
uniform vec3 wrap;              // how far light wraps past the terminator, per colour
uniform float specular;         // reflectance at normal incidence
uniform float sheen;
uniform float winding;
uniform vec3 key_direction;     // towards the light
uniform vec3 key_radiance;
uniform float key_softness;     // metres of penumbra per metre of distance to the occluder
uniform mat4 key_clip;
uniform sampler2D key_map;
uniform float key_extent_m;     // width and depth of the shadow map
out vec4 colour;

float hash(vec2 p) { return fract(sin(dot(p, vec2(12.9898, 78.233))) * 43758.5453); }

vec3 bumped(vec3 n) {
    vec3 px = dFdx(position), py = dFdy(position);
    vec2 ux = dFdx(uv), uy = dFdy(uv);
    float h = texture(height_map, uv).r;
    float hx = texture(height_map, uv + ux).r - h, hy = texture(height_map, uv + uy).r - h;
    vec3 r1 = cross(py, n), r2 = cross(n, px);
    float det = dot(px, r1);
    vec3 gradient = sign(det) * (hx * r1 + hy * r2) * 0.001 * bump_scale;
    return normalize(abs(det) * n - gradient);
}

const vec2 DISC[12] = vec2[](
    vec2(-0.326, -0.406), vec2(-0.840, -0.074), vec2(-0.696, 0.457), vec2(-0.203, 0.621),
    vec2(0.962, -0.195), vec2(0.473, -0.480), vec2(0.519, 0.767), vec2(0.185, -0.893),
    vec2(0.507, 0.064), vec2(0.896, 0.412), vec2(-0.322, -0.933), vec2(-0.792, -0.598));

// Percentage-closer soft shadow: the penumbra grows with the distance to what casts it.
float key_light(vec3 n) {
    vec3 start = position + n * 0.0015;
    vec3 c = (key_clip * vec4(start, 1.0)).xyz * 0.5 + 0.5;
    if (any(lessThan(c.xy, vec2(0.0))) || any(greaterThan(c.xy, vec2(1.0)))) return 1.0;
    float turn = 6.2832 * hash(gl_FragCoord.xy);
    mat2 spin = mat2(cos(turn), sin(turn), -sin(turn), cos(turn));
    vec3 ln = normalize(mat3(key_clip) * n);  // the surface as a plane seen from the light: depth per shift
    vec2 plane = clamp(ln.xy / max(-ln.z, 0.05), -3.0, 3.0);
    float search = 0.02 / key_extent_m, blockers = 0.0, gap = 0.0;
    for (int i = 0; i < 12; i += 2) {
        vec2 shift = spin * DISC[i] * search;
        float over = c.z + dot(plane, shift) - textureLod(key_map, c.xy + shift, 0.0).r;
        if (over > 0.0) { blockers += 1.0; gap += over; }
    }
    if (blockers < 0.5) return 1.0;
    float radius = clamp(gap / blockers * key_extent_m * key_softness, 0.001, 0.02) / key_extent_m;
    float sum = 0.0;
    for (int i = 0; i < 12; ++i) {
        vec2 shift = spin * DISC[i] * radius;
        sum += textureLod(key_map, c.xy + shift, 0.0).r < c.z + dot(plane, shift) ? 0.0 : 1.0;
    }
    return sum / 12.0;
}

float ggx(float nh, float rough) {
    float a2 = rough * rough * rough * rough;
    float d = nh * nh * (a2 - 1.0) + 1.0;
    return a2 / (3.14159 * d * d);
}

vec3 linear_from_srgb(vec3 c) { return pow(c, vec3(2.2)); }

void main() {
    vec3 smooth_n = normalize(normal) * (gl_FrontFacing ? winding : -winding);
    vec3 n = bumped(smooth_n);
    vec3 view = normalize(-position);
    vec4 skin = texture(albedo_map, uv);
    vec3 albedo = linear_from_srgb(skin.rgb);
    float gloss = skin.a;

    float visible = key_light(smooth_n);
    vec3 soft_shadow = pow(vec3(visible), vec3(0.7, 1.05, 1.15));     // light that bled under the skin is red
    vec3 soft_n = normalize(mix(n, smooth_n, 0.3));
    vec3 facing = clamp((vec3(dot(soft_n, key_direction)) + wrap) / (1.0 + wrap), 0.0, 1.0);
    vec3 light = key_radiance * soft_shadow * facing * facing * (1.0 + wrap) * 0.75;
    vec3 turn = n - smooth_n;
    vec3 ambient = irradiance + 0.5 * (slope_x * turn.x + slope_y * turn.y + slope_z * turn.z);
    vec3 bounced = max(ambient, 0.15 * irradiance);
    // Where the hand shades itself it also sees itself: part of what it blocks comes back in its own colour.
    vec3 own = albedo * (0.55 * blocked + 0.10 * key_radiance * (1.0 - visible));
    vec3 result = albedo * (light + bounced + own);

    float nv = max(dot(n, view), 0.02);
    float fresnel = specular + (1.0 - specular) * pow(1.0 - nv, 5.0) * 0.6;
    vec3 h = normalize(view + key_direction);
    float nl = max(dot(n, key_direction), 0.0), nh = max(dot(n, h), 0.0);
    float rough = mix(0.62, 0.28, gloss);
    float lobe = mix(ggx(nh, rough), ggx(nh, rough * 0.6), 0.25);
    float fh = specular + (1.0 - specular) * pow(1.0 - max(dot(view, h), 0.0), 5.0);
    result += key_radiance * visible * nl * lobe * fh * 0.25 / max(nl * nv + 0.25 * rough, 0.1);
    vec3 r = reflect(-view, n);
    vec3 around = max(0.3 * irradiance + 0.25 * (slope_x * r.x + slope_y * r.y + slope_z * r.z), 0.0);
    result += around * fresnel * mix(0.35, 1.0, gloss);
    result += albedo * irradiance * sheen * pow(1.0 - nv, 3.0);
    colour = vec4(result, 1.0);
}
"""

LABEL_VERTEX = (
    """
#version 330
in vec3 in_position;
"""
    + PROJECTION
    + """
void main() { gl_Position = project(in_position); }
"""
)

LABEL_FRAGMENT = """
#version 330
uniform float label;
out vec4 colour;
void main() { colour = vec4(label / 255.0, 0.0, 0.0, 1.0); }
"""

SCREEN_VERTEX = """
#version 330
in vec2 in_corner;
void main() { gl_Position = vec4(in_corner, 0.0, 1.0); }
"""

# Film: box filter of the supersampled hand over the background, exposure, a shoulder, vignette, grain.
FILM_FRAGMENT = """
#version 330
uniform sampler2D hand;         // supersampled, premultiplied
uniform sampler2D background;
uniform int supersample;
uniform float exposure;
uniform float vignette;
uniform float grain;
uniform float softness;         // 0: box filter of one pixel; 1: twice as wide
uniform vec2 image_size;
uniform ivec4 hand_box;          // left, top, right, bottom: no hand outside
uniform uint seed;
out vec4 colour;

uint scramble(uint x) { x ^= x >> 16; x *= 0x7feb352du; x ^= x >> 15; x *= 0x846ca68bu; x ^= x >> 16; return x; }
float uniform_noise(ivec2 p, uint channel) {
    uint x = scramble(uint(p.x) + scramble(uint(p.y) + scramble(seed * 4u + channel)));
    return float(x) / 4294967295.0;
}
float gaussian_noise(ivec2 p, uint channel) {
    return sqrt(-2.0 * log(max(uniform_noise(p, channel), 1e-7))) * cos(6.28318 * uniform_noise(p, channel + 7u));
}
vec3 shoulder(vec3 x) {
    vec3 over = max(x - 0.7, 0.0);
    return min(x, 0.7) + 0.3 * (1.0 - exp(-over / 0.3));
}
vec3 srgb_from_linear(vec3 c) { return mix(12.92 * c, 1.055 * pow(c, vec3(1.0 / 2.4)) - 0.055, step(0.0031308, c)); }

void main() {
    ivec2 pixel = ivec2(gl_FragCoord.xy);
    vec4 sum = vec4(0.0);
    float total = 0.0;
    bool empty = any(lessThan(pixel, hand_box.xy)) || any(greaterThan(pixel, hand_box.zw));
    int reach = softness > 0.0 ? 1 : 0;
    ivec2 limit = textureSize(hand, 0) - 1;
    for (int y = -reach; y < supersample + reach && !empty; ++y)
        for (int x = -reach; x < supersample + reach; ++x) {
            float w = (x < 0 || x >= supersample ? softness : 1.0) * (y < 0 || y >= supersample ? softness : 1.0);
            sum += w * texelFetch(hand, clamp(pixel * supersample + ivec2(x, y), ivec2(0), limit), 0);
            total += w;
        }
    sum /= max(total, 1e-6);
    vec3 light = sum.rgb + (1.0 - sum.a) * texelFetch(background, pixel, 0).rgb;
    vec2 off = (gl_FragCoord.xy / image_size - 0.5) * vec2(1.0, image_size.y / image_size.x);
    light *= exposure * (1.0 - vignette * dot(off, off) * 4.0);
    vec3 c = srgb_from_linear(shoulder(max(light, 0.0)));
    if (grain > 0.0) {
        float luma = gaussian_noise(pixel, 0u);
        vec3 chroma = vec3(gaussian_noise(pixel / 2, 1u), gaussian_noise(pixel / 2, 2u), gaussian_noise(pixel / 2, 3u));
        c += grain * (0.8 * luma + 0.6 * chroma) * (1.2 - 0.7 * c);
    }
    colour = vec4(clamp(c, 0.0, 1.0), 1.0);
}
"""

PROGRAMS = {
    "depth": (DEPTH_VERTEX, DEPTH_FRAGMENT),
    "skin": (SKIN_VERTEX, SKIN_FRAGMENT),
    "label": (LABEL_VERTEX, LABEL_FRAGMENT),
    "film": (SCREEN_VERTEX, FILM_FRAGMENT),
}
