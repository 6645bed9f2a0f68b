// What every quantised type gives, for group g of its planes:
//   load_raw     RawGroup: the bytes as they lie, for kernels that load before they use
//   quants_of, scale_of   load_quants and load_scale from a RawGroup
//   load_quants  8 words of signed bytes: low[p] holds elements 4p..4p+3, high[p] 16+4p..16+4p+3
//   load_part    low[p] and high[p] alone
//   kOneScale    whether both scales of a group are the same
//   load_scale   element = scale * byte - minimum, with one scale and minimum for each half of the group
//   TWO_MINIMA   defined where the minima of the halves differ
struct GroupScale {
    float low, high, minimum, upper_minimum;
};
GroupScale group_scale(float low, float high, float minimum) {
    return GroupScale(low, high, minimum, minimum);
}
